/* The classic exchange: both roles against programs that know nothing else, and against each other.
 */
#include "test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "exchange/classic.h"
#include "exchange/wire.h"
#include "shm/guard.h"
#include "shm/lock.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define EXCHANGES  100
#define MOST_BYTES (64U << 20)
#define TIMEOUT    (300 * NS_PER_SECOND)

/* Each as large as nothing before it, or much smaller. */
static const char *const image_names[] = {"g-640x427x3", "g-1x1x1", "g-64x64x2", "none",
	"g-1024x700x4", "g-3x5x3", "g-641x427x3", "g-1025x701x4", "g-64x63x1"};

#define IMAGES (sizeof image_names / sizeof *image_names)

struct fixture {
	struct name_space space;
	pid_t child;
	int output; /* what the child prints, or -1 */
};

/*
 * The made-up images of the fixtures.
 */

static bool image_of(const char *name, struct classic_geometry *ret)
{
	unsigned width, height, channels;

	if (sscanf(name, "g-%ux%ux%u", &width, &height, &channels) != 3)
		return false;
	*ret = (struct classic_geometry){
		(uint64_t)width * height * channels, width, height, channels};
	return true;
}

static void draw(uint8_t *pixels, const struct classic_geometry *image)
{
	uint64_t base = image->width + 3 * image->height + 5 * image->channels;

	for (uint64_t i = 0; i < image->bytes; i++)
		pixels[i] = (uint8_t)(31 * i + 7 * (i / 256) + base);
}

static void assert_drawn(const char *name, const struct classic_image *image)
{
	AUTO_FREE uint8_t *pixels = malloc(image->geometry.bytes);
	struct classic_geometry geometry;

	assert_non_null(pixels);
	assert_true(image_of(name, &geometry));
	assert_memory_equal(&geometry, &image->geometry, sizeof geometry);
	draw(pixels, &geometry);
	/* assert_memory_equal is slow on megabytes. */
	assert_int_equal(memcmp(pixels, image->pixels, geometry.bytes), 0);
}

/* What classic_requester prints for the image. */
static const char *line_of(const char *name, char line[128])
{
	struct classic_geometry image = {0};
	AUTO_FREE uint8_t *pixels = NULL;

	if (image_of(name, &image)) {
		pixels = malloc(image.bytes);
		assert_non_null(pixels);
		draw(pixels, &image);
	}
	snprintf(line, 128, "%s %ju %ju %ju %ju %08lx\n", name, (uintmax_t)image.width,
		(uintmax_t)image.height, (uintmax_t)image.channels, (uintmax_t)image.bytes,
		crc32_z(0, pixels, image.bytes));
	return line;
}

/*
 * The other program.
 */

static const char *tool(const char *variable)
{
	const char *path = getenv(variable);

	if (!path)
		fail_msg("%s must name the fixture; run this by meson test", variable);
	return path;
}

static void start(struct fixture *fixture, const char *const *arguments)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fixture->child = fork();
	assert_true(fixture->child >= 0);
	if (!fixture->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDOUT_FILENO);
		execv(arguments[0], (char *const *)arguments);
		_exit(127);
	}
	close(ends[1]);
	fixture->output = ends[0];
}

static void start_requester(struct fixture *fixture, const char *count)
{
	const char *arguments[3 + IMAGES + 1] = {
		tool("CLASSIC_REQUESTER"), fixture->space.text, count};

	memcpy(arguments + 3, image_names, sizeof image_names);
	start(fixture, arguments);
}

static void start_responder(struct fixture *fixture, const char *count)
{
	const char *arguments[] = {tool("CLASSIC_RESPONDER"), fixture->space.text, count, NULL};

	start(fixture, arguments);
}

static void finish(struct fixture *fixture, int expected)
{
	int status;

	assert_int_equal(waitpid(fixture->child, &status, 0), fixture->child);
	fixture->child = 0;
	assert_int_equal(status, expected);
	close(fixture->output);
	fixture->output = -1;
}

/* The requester ended well, having printed `count` answers, each right. */
static void assert_answers(struct fixture *fixture, unsigned count)
{
	FILE *file = fdopen(dup(fixture->output), "r");
	char line[128], expected[128];

	assert_non_null(file);
	for (unsigned i = 0; i < count; i++) {
		assert_non_null(fgets(line, sizeof line, file));
		assert_string_equal(line, line_of(image_names[i % IMAGES], expected));
	}
	assert_null(fgets(line, sizeof line, file));
	fclose(file);
	finish(fixture, 0);
}

/* How many objects of its namespace there are. */
static unsigned objects(const struct fixture *fixture)
{
	DIR *directory = opendir(SHM_DIRECTORY);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)))
		count += strstr(entry->d_name, fixture->space.text) != NULL;
	closedir(directory);
	return count;
}

static void await_objects(const struct fixture *fixture, unsigned count)
{
	uint64_t deadline = deadline_after(TIMEOUT);

	while (objects(fixture) < count) {
		assert_true(clock_now() < deadline);
		usleep(1000);
	}
}

static int open_file(const struct fixture *fixture, enum object_kind kind)
{
	char name[OBJECT_NAME_SIZE];
	int fd = shm_open(
		object_name(&fixture->space, kind, 0, name), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static sem_t *open_semaphore(const struct fixture *fixture, enum object_kind kind)
{
	char name[OBJECT_NAME_SIZE];
	sem_t *semaphore = sem_open(object_name(&fixture->space, kind, 0, name), O_CREAT, 0600, 0);

	assert_true(semaphore != SEM_FAILED);
	return semaphore;
}

/*
 * Our responder.
 */

/* Draws into the room, by the pointer or, as another process would, by the descriptor. */
static int answer(void *context, struct classic_responder *responder, const char *name,
	struct classic_geometry *ret, struct error *err)
{
	unsigned *calls = context;
	struct classic_room room;
	struct map map = {0};
	struct stat found;
	int status;

	if (!image_of(name, ret))
		return error_set(err, STATUS_NOT_FOUND, "there is no '%s'", name);
	status = classic_responder_room(responder, ret->bytes, &room, err);
	if (status)
		return status;
	assert_true(room.generation > 0);
	assert_int_equal(fstat(room.fd, &found), 0);
	assert_true((uint64_t)found.st_size >= ret->bytes);
	assert_true((uint64_t)found.st_blocks * 512 >= ret->bytes);
	if (++*calls % 2) {
		draw(room.pixels, ret);
		return STATUS_OK;
	}
	map.size = ret->bytes;
	map.base = mmap(NULL, map.size, PROT_READ | PROT_WRITE, MAP_SHARED, room.fd, 0);
	assert_true(map.base != MAP_FAILED);
	draw(map.base, ret);
	cleanup_map(&map);
	return STATUS_OK;
}

static struct classic_responder *new_responder(const struct fixture *fixture, void *context)
{
	const struct classic_responder_options options = {.space = fixture->space,
		.max_bytes = MOST_BYTES,
		.answer = answer,
		.context = context};
	struct classic_responder *responder;
	struct error err;

	assert_int_equal(classic_responder_new(&options, &responder, &err), STATUS_OK);
	return responder;
}

static enum classic_outcome turn(struct classic_responder *responder)
{
	struct error err = {0};
	enum classic_outcome done;
	uint64_t begin = clock_now();
	int status = classic_responder_serve(responder, DEADLINE_NEVER, &done, &err);

	if (status)
		fail_msg("turn: %s", err.text);
	if (done == CLASSIC_REFUSED)
		assert_true(err.text[0]);
	assert_true(clock_now() - begin < TIMEOUT);
	return done;
}

static void serve(struct classic_responder *responder, unsigned requests)
{
	uint64_t deadline = deadline_after(TIMEOUT);

	while (requests) {
		enum classic_outcome done = turn(responder);

		requests -= done == CLASSIC_ANSWERED || done == CLASSIC_REFUSED;
		assert_true(clock_now() < deadline);
	}
}

static void responder_that_starts_first_serves_a_classic_requester(void **state)
{
	struct fixture *fixture = *state;
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);

	assert_int_equal(turn(responder), CLASSIC_ABSENT);
	start_requester(fixture, "100");
	serve(responder, EXCHANGES);
	assert_answers(fixture, EXCHANGES);
	assert_int_equal(objects(fixture), 0);
	classic_responder_free(responder);
}

static void responder_that_starts_second_serves_a_classic_requester(void **state)
{
	struct fixture *fixture = *state;
	struct classic_responder *responder;
	unsigned calls = 0;

	start_requester(fixture, "100");
	await_objects(fixture, 4);
	responder = new_responder(fixture, &calls);
	serve(responder, EXCHANGES);
	assert_answers(fixture, EXCHANGES);
	classic_responder_free(responder);
}

static void responder_outlives_its_requesters(void **state)
{
	struct fixture *fixture = *state;
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);
	sem_t *response;

	/* One that unlinks everything, then one that is killed in the middle and leaves everything.
	 */
	start_requester(fixture, "10");
	serve(responder, 10);
	assert_answers(fixture, 10);
	start_requester(fixture, "100");
	serve(responder, 20);
	kill(fixture->child, SIGKILL);
	finish(fixture, SIGKILL);
	while (turn(responder) != CLASSIC_IDLE)
		;
	assert_int_equal(objects(fixture), 4);
	/* An answer that the dead one did not take would put the next one out of step. */
	response = open_semaphore(fixture, OBJECT_RESPONSE);
	while (sem_trywait(response) == 0)
		;
	sem_close(response);
	start_requester(fixture, "10");
	serve(responder, 10);
	assert_answers(fixture, 10);
	classic_responder_free(responder);
}

/*
 * Our requester.
 */

static struct classic_requester *new_requester(const struct fixture *fixture)
{
	const struct classic_requester_options options = {
		.space = fixture->space, .access = {0600, (gid_t)-1}, .max_bytes = MOST_BYTES};
	struct classic_requester *requester;
	struct error err;

	if (classic_requester_new(&options, &requester, &err))
		fail_msg("requester: %s", err.text);
	return requester;
}

static void end_requester(const struct fixture *fixture, struct classic_requester *requester)
{
	classic_requester_free(requester);
	assert_int_equal(objects(fixture), 0);
}

static void ask(struct classic_requester *requester, const char *name)
{
	struct classic_geometry geometry;
	struct classic_image image;
	struct error err = {0};
	int status = classic_requester_fetch(
		requester, name, deadline_after(TIMEOUT), &image, &err);

	if (image_of(name, &geometry)) {
		if (status)
			fail_msg("fetch: %s", err.text);
		assert_drawn(name, &image);
	} else {
		assert_int_equal(status, STATUS_NOT_FOUND);
		assert_non_null(strstr(err.text, name));
	}
}

static void ask_often(struct classic_requester *requester, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ask(requester, image_names[i % IMAGES]);
}

static void requester_that_starts_first_gets_all_from_a_classic_responder(void **state)
{
	struct fixture *fixture = *state;
	struct classic_requester *requester = new_requester(fixture);

	start_responder(fixture, "100");
	ask_often(requester, EXCHANGES);
	finish(fixture, 0);
	end_requester(fixture, requester);
}

static void requester_that_starts_second_gets_all_from_a_classic_responder(void **state)
{
	struct fixture *fixture = *state;
	struct classic_requester *requester;

	start_responder(fixture, "100");
	await_objects(fixture, 2);
	requester = new_requester(fixture);
	ask_often(requester, EXCHANGES);
	finish(fixture, 0);
	end_requester(fixture, requester);
}

static void requester_goes_on_with_the_next_responder(void **state)
{
	struct fixture *fixture = *state;
	struct classic_requester *requester = new_requester(fixture);

	/* Each new one cuts the segments down to its first access. */
	for (unsigned i = 0; i < 5; i++) {
		start_responder(fixture, "9");
		ask_often(requester, 9);
		finish(fixture, 0);
	}
	end_requester(fixture, requester);
}

/*
 * A peer made of this test's own hands, for what the fixtures do not do.
 */

struct hand {
	int head, data;
	sem_t *request, *response;
};

static struct hand hand_open(const struct fixture *fixture)
{
	return (struct hand){
		.head = open_file(fixture, OBJECT_HEAD),
		.data = open_file(fixture, OBJECT_DATA),
		.request = open_semaphore(fixture, OBJECT_REQUEST),
		.response = open_semaphore(fixture, OBJECT_RESPONSE),
	};
}

static void hand_close(struct hand *hand)
{
	close(hand->head);
	close(hand->data);
	sem_close(hand->request);
	sem_close(hand->response);
}

/* Takes one turn with a request made by hand; the words that it is answered with. */
static enum classic_outcome request_by_hand(struct hand *hand, struct classic_responder *responder,
	uint64_t length, const char *name, size_t name_size, struct classic_geometry *ret_words)
{
	enum classic_outcome done;

	assert_int_equal(ftruncate(hand->head, 0), 0);
	assert_int_equal(ftruncate(hand->data, 0), 0);
	assert_int_equal(pwrite_full(hand->head, &length, sizeof length, 0), 0);
	assert_int_equal(pwrite_full(hand->data, name, name_size, 0), 0);
	sem_post(hand->request);
	done = turn(responder);
	assert_int_equal(sem_trywait(hand->response), 0);
	assert_int_equal(
		pread_full(hand->head, ret_words, sizeof *ret_words, 0), sizeof *ret_words);
	return done;
}

static void responder_refuses_what_is_no_name(void **state)
{
	static const struct {
		uint64_t length;
		const char *name;
		size_t size;
	} bad[] = {
		{CLASSIC_NAME_MAX + 1, "g-1x1x1", 7},
		{UINT64_MAX, "g-1x1x1", 7},
		{100, "g-1x1x1", 7},
		{0, "", 0},
		{8, "g-1x1x1", 8},
	};
	static const struct classic_geometry zeros;
	struct fixture *fixture = *state;
	struct hand hand = hand_open(fixture);
	struct classic_geometry words;
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(request_by_hand(&hand, responder, bad[i].length, bad[i].name,
					 bad[i].size, &words),
			CLASSIC_REFUSED);
		assert_memory_equal(&words, &zeros, sizeof words);
	}
	assert_int_equal(calls, 0);
	assert_int_equal(
		request_by_hand(&hand, responder, 7, "g-1x1x1", 7, &words), CLASSIC_ANSWERED);
	assert_int_equal(words.bytes, 1);
	classic_responder_free(responder);
	hand_close(&hand);
}

static void responder_fills_the_holes_that_a_requester_left(void **state)
{
	static const char name[] = "g-640x427x3";
	static const uint64_t length = sizeof name - 1;
	struct fixture *fixture = *state;
	struct hand hand = hand_open(fixture);
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);

	/* The callback looks at what is there. */
	assert_int_equal(pwrite_full(hand.head, &length, sizeof length, 0), 0);
	assert_int_equal(pwrite_full(hand.data, name, length, 0), 0);
	assert_int_equal(ftruncate(hand.data, 1 << 20), 0);
	sem_post(hand.request);
	assert_int_equal(turn(responder), CLASSIC_ANSWERED);
	classic_responder_free(responder);
	hand_close(&hand);
}

static void responder_refuses_what_is_too_large(void **state)
{
	struct fixture *fixture = *state;
	struct hand hand = hand_open(fixture);
	struct classic_geometry words;
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);

	assert_int_equal(request_by_hand(&hand, responder, 15, "g-60000x60000x4", 15, &words),
		CLASSIC_REFUSED);
	assert_int_equal(words.bytes, 0);
	classic_responder_free(responder);
	hand_close(&hand);
}

static void responder_does_not_answer_a_count_that_nobody_posted(void **state)
{
	struct fixture *fixture = *state;
	struct hand hand = hand_open(fixture);
	struct classic_geometry words;
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);

	/* A requester has just made its segments, and REQ has a count from before. */
	assert_int_equal(ftruncate(hand.head, 1), 0);
	assert_int_equal(ftruncate(hand.data, 1), 0);
	sem_post(hand.request);
	assert_int_equal(turn(responder), CLASSIC_IDLE);
	assert_int_equal(sem_trywait(hand.response), -1);
	assert_int_equal(
		request_by_hand(&hand, responder, 7, "g-1x1x1", 7, &words), CLASSIC_ANSWERED);
	classic_responder_free(responder);
	hand_close(&hand);
}

/* Gets room, and then somebody cuts it off. */
static int answer_cut(void *context, struct classic_responder *responder, const char *name,
	struct classic_geometry *ret, struct error *err)
{
	struct hand *hand = context;
	struct classic_room room;
	int status;

	assert_true(image_of(name, ret));
	status = classic_responder_room(responder, ret->bytes, &room, err);
	assert_int_equal(status, STATUS_OK);
	assert_int_equal(ftruncate(hand->data, 0), 0);
	draw(room.pixels, ret);
	assert_int_equal(ftruncate(hand->data, (off_t)ret->bytes), 0);
	return STATUS_OK;
}

/* guard.h's handler; cmocka puts its own in that place for every test. */
static struct sigaction guarded;

static void responder_survives_a_segment_cut_while_it_is_written(void **state)
{
	struct fixture *fixture = *state;
	struct hand hand = hand_open(fixture);
	const struct classic_responder_options options = {.space = fixture->space,
		.max_bytes = MOST_BYTES,
		.answer = answer_cut,
		.context = &hand};
	struct classic_responder *responder;
	struct classic_geometry words;
	struct error err;

	assert_int_equal(sigaction(SIGBUS, &guarded, NULL), 0);
	assert_int_equal(classic_responder_new(&options, &responder, &err), STATUS_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(request_by_hand(&hand, responder, 11, "g-640x427x3", 11, &words),
			CLASSIC_REFUSED);
		assert_int_equal(words.bytes, 0);
	}
	classic_responder_free(responder);
	hand_close(&hand);
}

static void responder_does_not_touch_what_is_no_segment(void **state)
{
	struct fixture *fixture = *state;
	char file[OBJECT_FILE_SIZE], path[300];
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);
	struct hand hand = hand_open(fixture);
	enum classic_outcome done;
	struct error err;

	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY,
		object_file(&fixture->space, OBJECT_DATA, 0, file));
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(classic_responder_serve(responder, DEADLINE_NEVER, &done, &err),
		STATUS_NOT_PERMITTED);
	assert_non_null(strstr(err.text, file));
	classic_responder_free(responder);
	hand_close(&hand);
}

static void *take_request(void *argument)
{
	while (sem_wait(argument) != 0)
		;
	return NULL;
}

/* A HEAD as a server makes it, and one of the objects that only servers have. */
static struct segment make_server(const struct fixture *fixture)
{
	const struct wire_seat seat = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .seats = 1, .page = WIRE_PAGE};
	const struct access access = {0600, (gid_t)-1};
	struct segment head, data;
	char name[OBJECT_NAME_SIZE];
	struct error err;

	assert_int_equal(
		segment_new(wire_head_size(WIRE_PAGE, 1), 0, &access, &head, &err), STATUS_OK);
	assert_int_equal(segment_new(4096, 0, &access, &data, &err), STATUS_OK);
	assert_int_equal(pwrite_full(head.fd, &seat, sizeof seat, 0), 0);
	assert_int_equal(lock_take(head.fd, WIRE_SERVER_LOCK), 0);
	object_name(&fixture->space, OBJECT_HEAD, 0, name);
	assert_int_equal(segment_publish(&head, name, &err), STATUS_OK);
	object_name(&fixture->space, OBJECT_DATA, 1, name);
	assert_int_equal(segment_publish(&data, name, &err), STATUS_OK);
	segment_release(&data);
	sem_close(open_semaphore(fixture, OBJECT_REQUEST));
	sem_close(open_semaphore(fixture, OBJECT_RESPONSE));
	return head;
}

static void neither_role_disturbs_a_server(void **state)
{
	struct fixture *fixture = *state;
	const struct classic_requester_options options = {
		.space = fixture->space, .access = {0600, (gid_t)-1}, .max_bytes = MOST_BYTES};
	struct segment head = make_server(fixture);
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);
	struct classic_requester *requester;
	enum classic_outcome done;
	struct error err;

	assert_int_equal(classic_requester_new(&options, &requester, &err), STATUS_TRY_AGAIN);
	assert_int_equal(objects(fixture), 4);
	assert_int_equal(
		classic_responder_serve(responder, DEADLINE_NEVER, &done, &err), STATUS_TRY_AGAIN);

	/* Dead, it is nobody to be answered, and the next requester removes all it left. */
	segment_release(&head);
	assert_int_equal(turn(responder), CLASSIC_ABSENT);
	end_requester(fixture, new_requester(fixture));
	classic_responder_free(responder);
}

struct reply {
	struct hand hand;
	struct classic_geometry words;
	off_t data_size;
	int early; /* counts of RES posted before the answer */
};

/* A responder's one turn, without any rules. */
static void *reply_by_hand(void *argument)
{
	struct reply *reply = argument;
	uint64_t deadline = deadline_after(TIMEOUT);

	take_request(reply->hand.request);
	for (int i = 0; i < reply->early; i++)
		sem_post(reply->hand.response);
	/* Until the requester has looked at every early count. */
	for (int value = 1; value && clock_now() < deadline;) {
		sem_getvalue(reply->hand.response, &value);
		usleep(1000);
	}
	if (ftruncate(reply->hand.data, reply->data_size) == 0 &&
		pwrite_full(reply->hand.head, &reply->words, sizeof reply->words, 0) == 0)
		sem_post(reply->hand.response);
	return NULL;
}

static int fetch_by_hand(
	struct fixture *fixture, struct reply *reply, struct classic_image *ret, struct error *err)
{
	struct classic_requester *requester = new_requester(fixture);
	pthread_t thread;
	int status;

	reply->hand = hand_open(fixture);
	assert_int_equal(pthread_create(&thread, NULL, reply_by_hand, reply), 0);
	status = classic_requester_fetch(requester, "x", deadline_after(TIMEOUT), ret, err);
	pthread_join(thread, NULL);
	hand_close(&reply->hand);
	end_requester(fixture, requester);
	return status;
}

static void requester_refuses_words_that_do_not_fit(void **state)
{
	static const struct classic_geometry bad[] = {
		{12, 2, 2, 4},
		{20, 2, 2, 5},
		{0, 2, 2, 0},
		{12, 2, 0, 3},
		{4, UINT64_C(1) << 63, 2, 4},
		{12, UINT64_MAX, UINT64_MAX, 3},
		{4097, 4097, 1, 1},
		{MOST_BYTES + 1, MOST_BYTES + 1, 1, 1},
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct reply reply = {.words = bad[i], .data_size = 4096};
		struct classic_image image;
		struct error err;

		assert_int_equal(fetch_by_hand(*state, &reply, &image, &err), STATUS_BAD_DATA);
		assert_non_null(strstr(err.text, "'x'"));
	}
}

static void requester_refuses_what_is_over_its_limit(void **state)
{
	struct reply reply = {.words = {MOST_BYTES + 1, MOST_BYTES + 1, 1, 1},
		.data_size = (off_t)MOST_BYTES + 1};
	struct classic_image image;
	struct error err;

	assert_int_equal(fetch_by_hand(*state, &reply, &image, &err), STATUS_BAD_DATA);
	assert_non_null(strstr(err.text, "allowed"));
}

static void requester_is_not_misled_by_early_posts(void **state)
{
	struct reply reply = {.words = {12, 2, 2, 3}, .data_size = 12, .early = 5};
	struct classic_image image;
	struct error err;

	assert_int_equal(fetch_by_hand(*state, &reply, &image, &err), STATUS_OK);
	assert_int_equal(image.geometry.bytes, 12);
}

static void requester_drains_what_earlier_programs_left(void **state)
{
	struct fixture *fixture = *state;
	struct hand hand = hand_open(fixture);
	struct classic_requester *requester;

	for (int i = 0; i < 7; i++) {
		sem_post(hand.request);
		sem_post(hand.response);
	}
	hand_close(&hand);
	requester = new_requester(fixture);
	start_responder(fixture, "9");
	ask_often(requester, 9);
	finish(fixture, 0);
	end_requester(fixture, requester);
}

static int fetch_within(struct classic_requester *requester, uint64_t ns, const char *name)
{
	struct classic_image image;
	struct error err;

	return classic_requester_fetch(requester, name, deadline_after(ns), &image, &err);
}

static void requester_takes_back_what_nobody_took(void **state)
{
	struct fixture *fixture = *state;
	struct classic_requester *requester = new_requester(fixture);

	assert_int_equal(fetch_within(requester, NS_PER_MS, "g-2x2x2"), STATUS_TRY_AGAIN);
	start_responder(fixture, "9");
	ask_often(requester, 9);
	finish(fixture, 0);
	end_requester(fixture, requester);
}

static void requester_does_not_take_a_late_answer_for_the_next(void **state)
{
	static const struct classic_geometry late = {1, 1, 1, 1};
	struct fixture *fixture = *state;
	struct classic_requester *requester = new_requester(fixture);
	struct hand hand = hand_open(fixture);
	pthread_t thread;
	int value;

	assert_int_equal(pthread_create(&thread, NULL, take_request, hand.request), 0);
	assert_int_equal(fetch_within(requester, NS_PER_SECOND, "g-1x1x1"), STATUS_TRY_AGAIN);
	pthread_join(thread, NULL);
	/* Nothing new is asked: one taker, one count by our own hand, none left. */
	assert_int_equal(pthread_create(&thread, NULL, take_request, hand.request), 0);
	assert_int_equal(fetch_within(requester, 100 * NS_PER_MS, "g-2x2x2"), STATUS_TRY_AGAIN);
	sem_post(hand.request);
	pthread_join(thread, NULL);
	assert_int_equal(sem_getvalue(hand.request, &value), 0);
	assert_int_equal(value, 0);

	assert_int_equal(pwrite_full(hand.head, &late, sizeof late, 0), 0);
	sem_post(hand.response);
	hand_close(&hand);
	start_responder(fixture, "1");
	ask(requester, "g-2x2x2");
	finish(fixture, 0);
	end_requester(fixture, requester);
}

/* Takes the request and floods the requester with counts instead of answering. */
static void *storm(void *argument)
{
	struct hand *hand = argument;

	take_request(hand->request);
	sem_init(hand->response, 1, SEM_VALUE_MAX);
	return NULL;
}

static void requester_keeps_its_deadline_in_a_storm_of_posts(void **state)
{
	struct fixture *fixture = *state;
	struct classic_requester *requester = new_requester(fixture);
	struct hand hand = hand_open(fixture);
	pthread_t thread;
	uint64_t begin = clock_now();

	assert_int_equal(pthread_create(&thread, NULL, storm, &hand), 0);
	assert_int_equal(fetch_within(requester, NS_PER_SECOND, "x"), STATUS_TRY_AGAIN);
	assert_true(clock_now() - begin < TIMEOUT / 2);
	pthread_join(thread, NULL);
	hand_close(&hand);
	end_requester(fixture, requester);
}

static void requester_ends_when_its_objects_are_gone(void **state)
{
	struct fixture *fixture = *state;
	struct classic_requester *requester = new_requester(fixture);
	char name[OBJECT_NAME_SIZE];

	shm_unlink(object_name(&fixture->space, OBJECT_HEAD, 0, name));
	assert_int_equal(fetch_within(requester, TIMEOUT, "x"), STATUS_UNAVAILABLE);
	end_requester(fixture, requester);
}

static void requester_stops_when_told(void **state)
{
	struct fixture *fixture = *state;
	static const atomic_bool stop = true;
	const struct classic_requester_options options = {.space = fixture->space,
		.access = {0600, (gid_t)-1},
		.max_bytes = MOST_BYTES,
		.stop = &stop};
	struct classic_requester *requester;
	uint64_t begin = clock_now();
	struct error err;

	assert_int_equal(classic_requester_new(&options, &requester, &err), STATUS_OK);
	assert_int_equal(fetch_within(requester, TIMEOUT, "x"), STATUS_TRY_AGAIN);
	assert_true(clock_now() - begin < TIMEOUT / 2);
	end_requester(fixture, requester);
}

static void two_requesters_do_not_share_a_namespace(void **state)
{
	struct fixture *fixture = *state;
	const struct classic_requester_options options = {
		.space = fixture->space, .access = {0600, (gid_t)-1}, .max_bytes = MOST_BYTES};
	struct classic_requester *first = new_requester(fixture), *second;
	struct error err;

	assert_int_equal(classic_requester_new(&options, &second, &err), STATUS_TRY_AGAIN);
	assert_int_equal(objects(fixture), 4);
	classic_requester_free(first);
	first = new_requester(fixture);
	classic_requester_free(first);
}

static void *serve_all(void *argument)
{
	serve(argument, EXCHANGES);
	return NULL;
}

static void both_roles_work_together(void **state)
{
	struct fixture *fixture = *state;
	unsigned calls = 0;
	struct classic_responder *responder = new_responder(fixture, &calls);
	struct classic_requester *requester;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, serve_all, responder), 0);
	requester = new_requester(fixture);
	ask_often(requester, EXCHANGES);
	pthread_join(thread, NULL);
	end_requester(fixture, requester);
	classic_responder_free(responder);
}

static int setup(void **state)
{
	static unsigned number;
	struct fixture *fixture = calloc(1, sizeof *fixture);

	assert_non_null(fixture);
	fixture->output = -1;
	snprintf(fixture->space.text, sizeof fixture->space.text, "test-classic.%d.%u.", getpid(),
		++number);
	*state = fixture;
	return 0;
}

/* Removes what a failed test left; each test leaves nothing by itself, except what it made by hand.
 */
static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char name[OBJECT_NAME_SIZE];

	if (fixture->child) {
		kill(fixture->child, SIGKILL);
		waitpid(fixture->child, NULL, 0);
	}
	if (fixture->output >= 0)
		close(fixture->output);
	sem_unlink(object_name(&fixture->space, OBJECT_REQUEST, 0, name));
	sem_unlink(object_name(&fixture->space, OBJECT_RESPONSE, 0, name));
	shm_unlink(object_name(&fixture->space, OBJECT_HEAD, 0, name));
	shm_unlink(object_name(&fixture->space, OBJECT_DATA, 0, name));
	free(fixture);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			responder_that_starts_first_serves_a_classic_requester, setup, teardown),
		cmocka_unit_test_setup_teardown(
			responder_that_starts_second_serves_a_classic_requester, setup, teardown),
		cmocka_unit_test_setup_teardown(responder_outlives_its_requesters, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_that_starts_first_gets_all_from_a_classic_responder, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			requester_that_starts_second_gets_all_from_a_classic_responder, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			requester_goes_on_with_the_next_responder, setup, teardown),
		cmocka_unit_test_setup_teardown(responder_refuses_what_is_no_name, setup, teardown),
		cmocka_unit_test_setup_teardown(
			responder_fills_the_holes_that_a_requester_left, setup, teardown),
		cmocka_unit_test_setup_teardown(
			responder_refuses_what_is_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(
			responder_does_not_answer_a_count_that_nobody_posted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			responder_survives_a_segment_cut_while_it_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(
			responder_does_not_touch_what_is_no_segment, setup, teardown),
		cmocka_unit_test_setup_teardown(neither_role_disturbs_a_server, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_refuses_words_that_do_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_refuses_what_is_over_its_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_is_not_misled_by_early_posts, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_drains_what_earlier_programs_left, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_takes_back_what_nobody_took, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_does_not_take_a_late_answer_for_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_keeps_its_deadline_in_a_storm_of_posts, setup, teardown),
		cmocka_unit_test_setup_teardown(
			requester_ends_when_its_objects_are_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(requester_stops_when_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			two_requesters_do_not_share_a_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(both_roles_work_together, setup, teardown),
	};

	/* A hang is a failure, too. */
	alarm(600);
	if (guard_install(NULL) || sigaction(SIGBUS, NULL, &guarded))
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
