/* The library against a real server, started by the test: SHMSEM names the program. */
#include "folder.h"
#include "test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "config.h"
#include "exchange/head_report.h"
#include "image/encode.h"
#include "shm/names.h"
#include "shm/shm_file.h"
#include "shmsem.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define TIMEOUT (300 * NS_PER_SECOND)
#define SEATS   6 /* as start_server() says */

struct scene {
	char folder[64], space[64];
	pid_t server;
	struct shmsem *client;
};

/* ---- images ---- */

static uint8_t pixel_byte(unsigned seed, size_t i)
{
	return (uint8_t)(seed * 131 + i * 7 + (i >> 8) * 13);
}

/* An RGB image whose bytes follow from `seed`. */
static void write_image(
	const struct scene *scene, const char *name, unsigned seed, uint32_t width, uint32_t height)
{
	size_t size = (size_t)width * height * 3;
	struct encode_image image = {.width = width, .height = height, .channels = 3, .bits = 8};
	char path[512], beside[520];
	uint8_t *pixels = malloc(size);
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", scene->folder, name);
	snprintf(beside, sizeof beside, "%s/.new", scene->folder);
	for (size_t i = 0; i < size; i++)
		pixels[i] = pixel_byte(seed, i);
	image.pixels = pixels;
	file = fopen(beside, "we");
	assert_non_null(file);
	assert_int_equal(encode_write(file, ENCODE_PNG, &image, NULL, NULL), 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(beside, path), 0);
	free(pixels);
}

static bool right_pixels(const struct shmsem_image *image, unsigned seed)
{
	const uint8_t *pixels = image->pixels;

	for (size_t i = 0; i < image->info.bytes; i++)
		if (pixels[i] != pixel_byte(seed, i))
			return false;
	return true;
}

/* ---- server ---- */

static void start_server(struct scene *scene, const char *decoders, const char *cache)
{
	char *arguments[] = {getenv("SHMSEM"), (char *)"serve", (char *)"-q", (char *)"-N",
		scene->space, (char *)"-s", (char *)"6", (char *)"-w", (char *)decoders,
		(char *)"--cache", (char *)cache, (char *)"--decode-timeout", (char *)"300",
		scene->folder, NULL};

	assert_non_null(arguments[0]);
	assert_int_equal(
		posix_spawn(&scene->server, arguments[0], NULL, NULL, arguments, environ), 0);
}

static void end_server(struct scene *scene, int signal)
{
	int status;

	kill(scene->server, signal);
	kill(scene->server, SIGCONT); /* should a failed test have left it stopped */
	assert_int_equal(waitpid(scene->server, &status, 0), scene->server);
	if (signal == SIGTERM)
		assert_int_equal(status, 0);
	scene->server = 0;
}

static struct shmsem *connect_to(const struct scene *scene)
{
	const struct shmsem_connect_options options = {
		.name_space = scene->space, .timeout_ns = TIMEOUT};
	uint64_t appear = deadline_after(TIMEOUT);
	struct shmsem_error error;
	struct shmsem *client;

	while (shmsem_connect(&client, &options, &error))
		if (error.status != SHMSEM_UNAVAILABLE || clock_now() > appear)
			fail_msg("%s", error.message);
	return client;
}

static uint64_t counter(const struct scene *scene, enum wire_counter which)
{
	struct name_space space;
	char file[OBJECT_FILE_SIZE];
	struct head_report report;
	struct stat status;
	int fd;

	strcpy(space.text, scene->space);
	fd = shm_file_open(object_file(&space, OBJECT_HEAD, 0, file), O_RDONLY, &status);
	assert_true(fd >= 0);
	assert_int_equal(head_report_read(fd, &report), 0);
	close(fd);
	return report.counters[which];
}

/* The one decoder of a server with -w 1: the last that it started. */
static pid_t decoder_of(const struct scene *scene)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)scene->server,
		(int)scene->server);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	for (char *end = text + strlen(text); end > text && end[-1] == ' ';)
		*--end = '\0';
	return (pid_t)strtol(strrchr(text, ' ') ? strrchr(text, ' ') : text, NULL, 10);
}

static bool is_stopped(const char *task)
{
	char text[256] = "";
	const char *name_end;
	AUTO_CLOSE int fd = open(task, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	name_end = strrchr(text, ')');
	return name_end && name_end[2] == 'T';
}

/* Stops a process; kill() does not wait until all of its threads have stopped. */
static void stop(pid_t pid)
{
	char path[64];
	glob_t tasks;

	kill(pid, SIGSTOP);
	snprintf(path, sizeof path, "/proc/%d/task/*/stat", (int)pid);
	assert_int_equal(glob(path, 0, NULL, &tasks), 0);
	for (size_t i = 0; i < tasks.gl_pathc; i++)
		while (!is_stopped(tasks.gl_pathv[i]))
			sched_yield();
	globfree(&tasks);
}

static int set_up_with(void **state, const char *decoders, const char *cache)
{
	static unsigned serial;
	struct scene *scene = calloc(1, sizeof *scene);

	alarm(600);
	strcpy(scene->folder, "/tmp/test-client-XXXXXX");
	assert_non_null(mkdtemp(scene->folder));
	snprintf(scene->space, sizeof scene->space, "test-client-%d-%u", (int)getpid(), serial++);
	write_image(scene, "a.png", 1, 100, 80);
	write_image(scene, "b.png", 2, 64, 64);
	start_server(scene, decoders, cache);
	scene->client = connect_to(scene);
	*state = scene;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, "1", "16M");
}

static int set_up_small(void **state)
{
	return set_up_with(state, "2", "1M");
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	struct name_space space;
	char file[OBJECT_FILE_SIZE];
	struct stat status;

	shmsem_close(scene->client);
	if (scene->server)
		end_server(scene, SIGTERM);
	strcpy(space.text, scene->space);
	assert_int_equal(
		shm_file_open(object_file(&space, OBJECT_HEAD, 0, file), O_RDONLY, &status), -1);
	folder_remove(scene->folder);
	free(scene);
	alarm(0);
	return 0;
}

static int fetch(struct shmsem *client, const char *name, struct shmsem_image *ret)
{
	struct shmsem_error error;
	const struct shmsem_request request = {.name = name};

	return shmsem_fetch(client, &request, ret, &error);
}

static struct shmsem_image fetched(struct shmsem *client, const char *name, unsigned seed)
{
	const struct shmsem_request request = {.name = name};
	struct shmsem_image image;
	struct shmsem_error error;

	if (shmsem_fetch(client, &request, &image, &error))
		fail_msg("%s", error.message);
	assert_true(right_pixels(&image, seed));
	return image;
}

/* ---- tests ---- */

static void an_image_is_decoded_once_and_then_comes_from_the_store(void **state)
{
	struct scene *scene = *state;
	struct shmsem_image first = fetched(scene->client, "a", 1), second;

	assert_int_equal(first.info.width, 100);
	assert_int_equal(first.info.height, 80);
	assert_int_equal(first.info.channels, 3);
	assert_int_equal(first.info.from_store, 0);
	second = fetched(scene->client, "a.png", 1);
	assert_int_equal(second.info.from_store, 1);
	assert_ptr_equal(first.pixels, second.pixels);
	assert_int_equal(counter(scene, WIRE_COUNT_DECODES), 1);
	shmsem_release(&first);
	shmsem_release(&first);
	assert_true(right_pixels(&second, 1));
	shmsem_release(&second);
}

struct crowd {
	const struct scene *scene;
	const char *name;
	int status;
	char message[SHMSEM_MESSAGE_SIZE];
};

static void *crowd_main(void *context)
{
	struct crowd *crowd = context;
	struct shmsem *client = connect_to(crowd->scene);
	const struct shmsem_request request = {.name = crowd->name};
	struct shmsem_error error = {0};
	struct shmsem_image image;

	crowd->status = shmsem_fetch(client, &request, &image, &error);
	if (!crowd->status) {
		crowd->status = right_pixels(&image, 1) ? 0 : -1;
		shmsem_release(&image);
	}
	strcpy(crowd->message, error.message);
	shmsem_close(client);
	return NULL;
}

/* Lets four clients ask for the same while the decoder is stopped. */
static void ask_in_a_crowd(const struct scene *scene, const char *name, struct crowd crowd[4])
{
	pid_t decoder = decoder_of(scene);
	uint64_t before = counter(scene, WIRE_COUNT_REQUESTS), deadline;
	pthread_t threads[4];

	stop(decoder);
	for (int i = 0; i < 4; i++) {
		crowd[i] = (struct crowd){.scene = scene, .name = name};
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, &crowd[i]), 0);
	}
	/* All four wait: none was answered, and the server took their requests. */
	deadline = deadline_after(NS_PER_SECOND / 2);
	while (clock_now() < deadline)
		assert_int_equal(counter(scene, WIRE_COUNT_REQUESTS), before);
	kill(decoder, SIGCONT);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void who_asks_at_the_same_time_shares_one_decode(void **state)
{
	struct scene *scene = *state;
	struct crowd crowd[4];

	ask_in_a_crowd(scene, "a", crowd);
	for (int i = 0; i < 4; i++)
		assert_int_equal(crowd[i].status, 0);
	assert_int_equal(counter(scene, WIRE_COUNT_DECODES), 1);
}

static void who_asks_for_a_broken_image_shares_its_error_which_is_remembered(void **state)
{
	struct scene *scene = *state;
	struct crowd crowd[4];
	struct shmsem_image image;
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/bad.png", scene->folder);
	file = fopen(path, "we");
	fputs("\x89PNG\r\n\x1a\nand nothing more", file);
	fclose(file);
	ask_in_a_crowd(scene, "bad", crowd);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(crowd[i].status, SHMSEM_BAD_DATA);
		assert_non_null(strstr(crowd[i].message, "bad.png"));
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(fetch(scene->client, "bad", &image), SHMSEM_BAD_DATA);
	assert_int_equal(counter(scene, WIRE_COUNT_FAILURES), 1);
	/* A new file is a new chance. */
	write_image(scene, "bad.png", 9, 10, 10);
	image = fetched(scene->client, "bad", 9);
	shmsem_release(&image);
}

/* More images by one client than two seats hold: it takes a third, and gives it back. */
static void more_than_one_connection_holds_are_held_by_further_ones(void **state)
{
	enum {
		COUNT = 2 * SHMSEM_HELD_MAX + 44
	};
	struct scene *scene = *state;
	struct shmsem_image *images = calloc(COUNT, sizeof *images);

	assert_non_null(images);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < COUNT; i++)
			images[i] = fetched(scene->client, i % 2 ? "a" : "b", i % 2 ? 1 : 2);
		for (int i = 0; i < COUNT; i++)
			assert_true(right_pixels(&images[i], i % 2 ? 1 : 2));
		for (int i = 0; i < COUNT; i++)
			shmsem_release(&images[i]);
		assert_int_equal(shmsem_ping(scene->client, NULL), 0);
	}
	free(images);
}

static int note_sleeps(void *data, int sleeps)
{
	int *counts = data;

	counts[!!sleeps]++;
	/* The third sleep is the last. */
	return !sleeps && counts[0] == 3;
}

/* The hook is called in pairs, and ends the call without anything held. */
static void a_hook_sees_each_sleep_and_can_end_the_call(void **state)
{
	struct scene *scene = *state;
	int counts[2] = {0};
	const struct shmsem_connect_options options = {
		.name_space = scene->space, .wait_hook = note_sleeps, .wait_data = counts};
	pid_t decoder = decoder_of(scene);
	struct shmsem_image image;
	struct shmsem_error error;
	struct shmsem *client;

	assert_int_equal(shmsem_connect(&client, &options, &error), 0);
	stop(decoder);
	assert_int_equal(
		shmsem_fetch(client, &(struct shmsem_request){.name = "a"}, &image, &error),
		SHMSEM_TRY_AGAIN);
	kill(decoder, SIGCONT);
	assert_int_equal(error.os_error, ECANCELED);
	assert_int_equal(counts[0], 3);
	assert_int_equal(counts[1], 3);
	image = fetched(client, "a", 1);
	shmsem_release(&image);
	shmsem_close(client);
}

/* 1 MB of store: 60 KB are held, and 10 MB go through it. */
static void held_pixels_stay_as_they_are_while_others_come_and_go(void **state)
{
	struct scene *scene = *state;
	struct shmsem_image held[2] = {
		fetched(scene->client, "a", 1), fetched(scene->client, "b", 2)};
	const void *where = held[0].pixels;
	struct shmsem *other = connect_to(scene);
	char name[32];

	for (unsigned i = 0; i < 60; i++) {
		struct shmsem_image image;

		snprintf(name, sizeof name, "n%u.png", i);
		write_image(scene, name, i, 200 + i, 300);
		image = fetched(i % 2 ? other : scene->client, name, i);
		shmsem_release(&image);
		assert_ptr_equal(held[0].pixels, where);
		assert_true(right_pixels(&held[0], 1));
		assert_true(right_pixels(&held[1], 2));
	}
	assert_true(counter(scene, WIRE_COUNT_EVICTIONS) > 0 ||
		    counter(scene, WIRE_COUNT_DECODES) == 62);
	assert_true(counter(scene, WIRE_COUNT_CACHE_BACKED) <= 1 << 20);
	for (int i = 0; i < 2; i++)
		shmsem_release(&held[i]);
	shmsem_close(other);
}

static void a_store_full_of_held_images_says_so(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_request request = {.name = "big2"};
	struct shmsem_image held, image;
	struct shmsem_error error;

	write_image(scene, "big1.png", 3, 500, 450);
	write_image(scene, "big2.png", 4, 500, 450);
	held = fetched(scene->client, "big1", 3);
	assert_int_equal(shmsem_fetch(scene->client, &request, &image, &error), SHMSEM_TRY_AGAIN);
	assert_non_null(strstr(error.message, "needed"));
	assert_non_null(strstr(error.message, "held"));
	assert_non_null(strstr(error.message, " allowed (--cache)"));
	shmsem_release(&held);
	image = fetched(scene->client, "big2", 4);
	shmsem_release(&image);
}

static void a_changed_file_is_never_answered_with_old_pixels(void **state)
{
	struct scene *scene = *state;
	char from[128], to[128];

	for (unsigned i = 0; i < 200; i++) {
		struct shmsem_image image;

		write_image(scene, "a.png", i, 20, 20);
		image = fetched(scene->client, "a", i);
		shmsem_release(&image);
	}
	snprintf(from, sizeof from, "%s/b.png", scene->folder);
	snprintf(to, sizeof to, "%s/a.png", scene->folder);
	for (unsigned i = 0; i < 2; i++) {
		struct shmsem_image image;

		assert_int_equal(i ? unlink(to) : rename(from, to), 0);
		assert_int_equal(fetch(scene->client, "b", &image), SHMSEM_NOT_FOUND);
		if (!i) {
			image = fetched(scene->client, "a", 2);
			shmsem_release(&image);
		}
	}
	{
		struct shmsem_image image;

		assert_int_equal(fetch(scene->client, "a", &image), SHMSEM_NOT_FOUND);
	}
}

static void a_call_after_a_restart_works_at_the_new_server(void **state)
{
	struct scene *scene = *state;
	struct shmsem_image held = fetched(scene->client, "a", 1), image;

	for (int i = 0; i < 3; i++) {
		struct shmsem *waiter;

		end_server(scene, i % 2 ? SIGTERM : SIGKILL);
		start_server(scene, "1", "16M");
		waiter = connect_to(scene); /* it is there */
		image = fetched(scene->client, "a", 1);
		shmsem_release(&image);
		assert_true(right_pixels(&held, 1));
		shmsem_close(waiter);
	}
	shmsem_release(&held);
}

static uint64_t requests_of_seat(const struct scene *scene, unsigned seat)
{
	struct name_space space;
	char file[OBJECT_FILE_SIZE];
	struct head_report report;
	struct head_report_seat row;
	struct stat status;
	int fd;

	strcpy(space.text, scene->space);
	fd = shm_file_open(object_file(&space, OBJECT_HEAD, 0, file), O_RDONLY, &status);
	assert_true(fd >= 0);
	assert_int_equal(head_report_read(fd, &report), 0);
	assert_int_equal(head_report_read_seat(fd, &report, seat, &row), 0);
	close(fd);
	return row.requests;
}

/* A client in a process of its own, which can be stopped, asks for image a. */
static pid_t ask_in_a_child(const struct scene *scene)
{
	struct crowd crowd = {.scene = scene, .name = "a"};
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	crowd_main(&crowd);
	if (crowd.status)
		fprintf(stderr, "%s\n", crowd.message);
	_exit(crowd.status ? 1 : 0);
}

static void restart_server(struct scene *scene)
{
	end_server(scene, SIGKILL);
	start_server(scene, "1", "16M");
	shmsem_close(scene->client);
	scene->client = connect_to(scene);
}

/* The server is killed while it decodes, and another one is there before the client looks. */
static void a_call_during_a_restart_works_at_the_new_server(void **state)
{
	struct scene *scene = *state;
	pid_t child;
	int status;

	stop(decoder_of(scene));
	child = ask_in_a_child(scene);
	while (!requests_of_seat(scene, 1))
		sched_yield();
	stop(child);
	restart_server(scene);
	kill(child, SIGCONT);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void start_server_later(void *data, int event, const char *message)
{
	(void)message;
	if (event == SHMSEM_AWAITING)
		start_server(data, "1", "16M");
}

/* Nobody starts the next one before the call waits for it. */
static void a_call_waits_for_the_next_server_as_long_as_for_the_first(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_connect_options options = {.name_space = scene->space,
		.wait_ns = TIMEOUT,
		.timeout_ns = TIMEOUT,
		.log = start_server_later,
		.log_data = scene};
	struct shmsem_image image;
	struct shmsem_error error;

	shmsem_close(scene->client);
	assert_int_equal(shmsem_connect(&scene->client, &options, &error), SHMSEM_OK);
	end_server(scene, SIGKILL);
	assert_int_equal(fetch(scene->client, "a", &image), SHMSEM_OK);
	shmsem_release(&image);
	end_server(scene, SIGTERM);
	assert_int_equal(fetch(scene->client, "a", &image), SHMSEM_OK);
	shmsem_release(&image);
}

static void without_a_server_the_error_says_how_to_start_one(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_connect_options options = {.name_space = "test-client-nobody"};
	struct shmsem_error error;
	struct shmsem *client;
	struct shmsem_image image;

	assert_int_equal(shmsem_connect(&client, &options, &error), SHMSEM_UNAVAILABLE);
	assert_non_null(strstr(error.message, "shmsem serve -N test-client-nobody"));
	end_server(scene, SIGTERM);
	assert_int_equal(fetch(scene->client, "a", &image), SHMSEM_UNAVAILABLE);
	assert_int_equal(fetch(scene->client, "a", &image), SHMSEM_UNAVAILABLE);
}

static void a_stopped_server_ends_the_wait_at_the_deadline_and_counts_as_alive(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_request request = {.name = "a", .timeout_ns = 300 * NS_PER_MS};
	struct shmsem_image image;
	uint64_t begin;

	stop(scene->server);
	begin = clock_now();
	assert_int_equal(shmsem_fetch(scene->client, &request, &image, NULL), SHMSEM_TRY_AGAIN);
	assert_true(clock_now() - begin >= 300 * NS_PER_MS);
	assert_true(clock_now() - begin < 20 * NS_PER_SECOND);
	kill(scene->server, SIGCONT);
	image = fetched(scene->client, "a", 1);
	shmsem_release(&image);
}

static void *cancel_main(void *context)
{
	const struct timespec soon = {.tv_nsec = 50000000};

	nanosleep(&soon, NULL);
	shmsem_cancel(context);
	return NULL;
}

static void a_cancelled_call_ends_and_the_next_one_works(void **state)
{
	struct scene *scene = *state;
	pid_t decoder = decoder_of(scene);
	struct shmsem_image image;
	pthread_t thread;
	uint64_t begin = clock_now();

	stop(decoder);
	assert_int_equal(pthread_create(&thread, NULL, cancel_main, scene->client), 0);
	assert_int_equal(fetch(scene->client, "a", &image), SHMSEM_TRY_AGAIN);
	assert_true(clock_now() - begin < 20 * NS_PER_SECOND);
	pthread_join(thread, NULL);
	kill(decoder, SIGCONT);
	for (int i = 0; i < 20; i++) {
		image = fetched(scene->client, i % 2 ? "a" : "b", i % 2 ? 1 : 2);
		shmsem_release(&image);
	}
}

/* Writes to all pages of holds, or says whether all are whole. */
static bool hold_pages(const struct scene *scene, const uint64_t *magic)
{
	char file[OBJECT_FILE_SIZE];
	struct name_space space;
	struct stat status;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	bool whole = true;
	int fd;

	strcpy(space.text, scene->space);
	fd = shm_file_open(object_file(&space, OBJECT_HEAD, 0, file), O_RDWR, &status);
	assert_true(fd >= 0);
	for (unsigned seat = 0; seat < SEATS; seat++) {
		off_t at = (off_t)wire_holds_offset(page, SEATS, seat);
		uint64_t found = 0;

		if (magic)
			assert_int_equal(pwrite(fd, magic, sizeof *magic, at), sizeof *magic);
		assert_int_equal(pread(fd, &found, sizeof found, at), sizeof found);
		whole &= found == WIRE_HOLD_MAGIC;
	}
	close(fd);
	return whole;
}

/* Of a page of holds that is not whole the server has to believe that everything is held. It mends
 * those of free seats itself. */
static void a_call_that_fails_gives_up_a_seat_whose_holds_are_damaged(void **state)
{
	struct scene *scene = *state;
	uint64_t begin = clock_now();
	struct shmsem_image image;

	assert_true(hold_pages(scene, NULL));
	assert_false(hold_pages(scene, &(uint64_t){0}));
	assert_int_equal(fetch(scene->client, "missing", &image), SHMSEM_NOT_FOUND);
	image = fetched(scene->client, "a", 1);
	while (!hold_pages(scene, NULL) && clock_now() - begin < TIMEOUT)
		sched_yield();
	assert_true(hold_pages(scene, NULL));
	shmsem_release(&image);
}

/* Answers that come late must not disturb the requests after them. */
static void requests_that_timed_out_never_disturb_later_ones(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_request short_one = {.name = "late", .timeout_ns = 1};
	struct shmsem_image image;

	for (unsigned i = 0; i < 200; i++) {
		write_image(scene, "late.png", i, 150, 150);
		if (shmsem_fetch(scene->client, &short_one, &image, NULL) == 0)
			shmsem_release(&image);
		image = fetched(scene->client, "a", 1);
		shmsem_release(&image);
	}
}

static int count_name(void *context, const char *name)
{
	char expected[32];
	unsigned *count = context;

	snprintf(expected, sizeof expected, "m%04u.png", *count - 2);
	if (*count >= 2)
		assert_string_equal(name, expected);
	++*count;
	return 0;
}

static int stop_at_once(void *context, const char *name)
{
	(void)name;
	++*(unsigned *)context;
	return 1;
}

static void more_than_a_thousand_names_come_in_pages(void **state)
{
	struct scene *scene = *state;
	unsigned count = 0, first = 0;
	struct shmsem_error error;
	uint64_t begin;
	char path[128];

	for (int i = 0; i < 1500; i++) {
		snprintf(path, sizeof path, "%s/m%04d.png", scene->folder, i);
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	begin = clock_now();
	assert_int_equal(shmsem_names(scene->client, count_name, &count, &error), 0);
	assert_int_equal(count, 1502);
	/* Eight pages; none waits for a poll. */
	assert_true(clock_now() - begin < 20 * NS_PER_SECOND);
	assert_int_equal(shmsem_names(scene->client, stop_at_once, &first, &error), 0);
	assert_int_equal(first, 1);
}

static void info_tells_without_decoding(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_request request = {.name = "a"}, none = {.name = "none"};
	struct shmsem_image image;
	struct shmsem_info info;

	assert_int_equal(shmsem_info(scene->client, &request, &info, NULL), 0);
	assert_int_equal(info.width, 100);
	assert_int_equal(info.bytes, 100 * 80 * 3);
	assert_int_equal(info.from_store, 0);
	assert_int_equal(info.format, SHMSEM_PNG);
	assert_int_equal(counter(scene, WIRE_COUNT_DECODES), 0);
	image = fetched(scene->client, "a", 1);
	assert_int_equal(shmsem_info(scene->client, &request, &info, NULL), 0);
	assert_int_equal(info.from_store, 1);
	assert_int_equal(info.holders, 1);
	assert_true(info.age_ns > 0);
	shmsem_release(&image);
	assert_int_equal(shmsem_info(scene->client, &request, &info, NULL), 0);
	assert_int_equal(info.holders, 0);
	assert_int_equal(shmsem_info(scene->client, &none, &info, NULL), SHMSEM_NOT_FOUND);
}

static void wrong_arguments_are_told_before_anything_is_asked(void **state)
{
	struct scene *scene = *state;
	static const struct shmsem_request wrong[] = {{.name = NULL}, {.name = ""},
		{.name = "a", .scale = 3}, {.name = "a", .scale = 16}, {.name = "a", .channels = 2},
		{.name = "a", .channels = 5}, {.name = "a", .layout = 2},
		{.name = "a", .reserved_bytes = {0, 0, 1}}, {.name = "a", .reserved = {1}},
		{.name = "a", .reserved = {0, 0, 0, 1}}};
	const struct shmsem_connect_options unknown[] = {
		{.name_space = scene->space, .flags = 1U << 31},
		{.name_space = scene->space, .reserved = {1}},
		{.name_space = scene->space, .server_user = 1},
		{.name_space = scene->space, .flags = SHMSEM_SERVER_USER, .server_user = (uid_t)-1},
		{.name_space = scene->space, .flags = SHMSEM_SERVER_USER | SHMSEM_ANY_SERVER}};
	struct shmsem *client;
	char name[1100] = "";
	struct shmsem_image image;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(
			shmsem_fetch(scene->client, &wrong[i], &image, NULL), SHMSEM_USAGE);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		assert_int_equal(shmsem_connect(&client, &unknown[i], NULL), SHMSEM_USAGE);
	memset(name, 'x', 1025);
	assert_int_equal(fetch(scene->client, name, &image), SHMSEM_USAGE);
	assert_int_equal(fetch(scene->client, "../a", &image), SHMSEM_NOT_FOUND);
	assert_int_equal(fetch(scene->client, "a\nb", &image), SHMSEM_NOT_FOUND);
}

static void an_error_is_filled_on_success_too(void **state)
{
	static const struct shmsem_error garbage = {
		.status = 1, .os_error = 1, .message = "garbage"};
	const struct shmsem_connect_options options = {
		.name_space = ((struct scene *)*state)->space};
	const struct shmsem_request request = {.name = "a"};
	struct shmsem_error errors[6];
	struct shmsem_image image;
	struct shmsem_info info;
	struct shmsem_queue *queue;
	struct shmsem *client;

	for (size_t i = 0; i < 6; i++)
		errors[i] = garbage;
	assert_int_equal(shmsem_connect(&client, &options, &errors[0]), 0);
	assert_int_equal(shmsem_ping(client, &errors[1]), 0);
	assert_int_equal(shmsem_fetch(client, &request, &image, &errors[2]), 0);
	assert_int_equal(shmsem_info(client, &request, &info, &errors[3]), 0);
	assert_int_equal(shmsem_queue_open(&queue, &options, 1, &errors[4]), 0);
	assert_int_equal(shmsem_submit(queue, &request, NULL, &errors[5]), 0);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(errors[i].status, SHMSEM_OK);
		assert_int_equal(errors[i].os_error, 0);
		assert_string_equal(errors[i].message, "");
	}
	shmsem_release(NULL);
	shmsem_release(&image);
	shmsem_queue_close(queue);
	shmsem_close(client);
}

static void a_child_of_fork_is_refused_and_does_no_harm(void **state)
{
	struct scene *scene = *state;
	struct shmsem_image held = fetched(scene->client, "a", 1);
	int status;
	pid_t child = fork();

	if (!child) {
		struct shmsem_image image;

		status = fetch(scene->client, "b", &image) == SHMSEM_USAGE && right_pixels(&held, 1)
				 ? 0
				 : 1;
		shmsem_release(&held);
		shmsem_close(scene->client);
		_exit(status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	{
		const struct shmsem_request request = {.name = "a"};
		struct shmsem_info info;

		assert_int_equal(shmsem_info(scene->client, &request, &info, NULL), 0);
		assert_int_equal(info.holders, 1);
	}
	shmsem_release(&held);
}

static void images_outlive_their_client_and_keep_its_seat(void **state)
{
	struct scene *scene = *state;
	struct shmsem *other = connect_to(scene);
	const struct shmsem_request request = {.name = "a"};
	struct shmsem_image held = fetched(other, "a", 1);
	struct shmsem_info info;

	shmsem_close(other);
	assert_true(right_pixels(&held, 1));
	assert_int_equal(shmsem_info(scene->client, &request, &info, NULL), 0);
	assert_int_equal(info.holders, 1);
	shmsem_release(&held);
	assert_int_equal(shmsem_info(scene->client, &request, &info, NULL), 0);
	assert_int_equal(info.holders, 0);
}

/* Also when the hold, and the memory of the connection, have another use by then. */
static void a_copy_of_a_released_image_lets_go_of_no_other(void **state)
{
	struct scene *scene = *state;
	struct shmsem *client = connect_to(scene);
	struct shmsem_image first = fetched(client, "a", 1), copy = first, second, third;
	struct shmsem_info info;
	const struct shmsem_request request = {.name = "b"};

	shmsem_release(&first);
	second = fetched(client, "b", 2);
	assert_int_equal(second.hold, copy.hold);
	first = copy;
	shmsem_release(&first);
	assert_int_equal(shmsem_check(&copy, NULL), SHMSEM_USAGE);
	assert_int_equal(shmsem_info(client, &request, &info, NULL), 0);
	assert_int_equal(info.holders, 1);
	shmsem_close(client);
	first = copy;
	shmsem_release(&first);
	assert_true(right_pixels(&second, 2));
	shmsem_release(&second);
	/* The seat is free, and all of it is gone. */
	client = connect_to(scene);
	third = fetched(client, "b", 2);
	shmsem_release(&copy);
	assert_int_equal(shmsem_info(client, &request, &info, NULL), 0);
	assert_int_equal(info.holders, 1);
	assert_int_equal(shmsem_check(&third, NULL), 0);
	shmsem_release(&third);
	shmsem_close(client);
}

static void seats_run_out_with_a_clear_error_and_come_free(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_connect_options options = {
		.name_space = scene->space, .timeout_ns = 100 * NS_PER_MS};
	struct shmsem *clients[5], *late;
	struct shmsem_error error;

	for (int i = 0; i < 5; i++)
		clients[i] = connect_to(scene);
	assert_int_equal(shmsem_connect(&late, &options, &error), SHMSEM_TRY_AGAIN);
	assert_non_null(strstr(error.message, "all 6 seats are taken"));
	shmsem_close(clients[3]);
	assert_int_equal(shmsem_connect(&clients[3], &options, &error), 0);
	for (int i = 0; i < 5; i++)
		shmsem_close(clients[i]);
}

/* What a call says and how often it sleeps. */
struct noted {
	atomic_uint sleeps, sentences;
	char sentence[SHMSEM_MESSAGE_SIZE];
};

static int count_sleep(void *data, int sleeps)
{
	struct noted *noted = data;

	atomic_fetch_add(&noted->sleeps, (unsigned)sleeps);
	return 0;
}

static void keep_sentence(void *data, int event, const char *sentence)
{
	struct noted *noted = data;

	if (event != SHMSEM_QUEUED || atomic_load(&noted->sentences))
		return;
	strcpy(noted->sentence, sentence);
	atomic_store(&noted->sentences, 1);
}

struct waiter {
	const struct scene *scene;
	uint64_t timeout_ns;
	struct noted noted;
	int status;
};

static void *wait_for_seat(void *context)
{
	struct waiter *waiter = context;
	const struct shmsem_connect_options options = {.name_space = waiter->scene->space,
		.timeout_ns = waiter->timeout_ns,
		.log = keep_sentence,
		.log_data = &waiter->noted,
		.wait_hook = count_sleep,
		.wait_data = &waiter->noted};
	struct shmsem *client = NULL;

	waiter->status = shmsem_connect(&client, &options, NULL);
	shmsem_close(client);
	return NULL;
}

static void who_waits_for_a_seat_is_told_so(void **state)
{
	struct waiter waiter = {.scene = *state, .timeout_ns = TIMEOUT};
	struct shmsem *clients[5];
	pthread_t thread;

	for (int i = 0; i < 5; i++)
		clients[i] = connect_to(waiter.scene);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_seat, &waiter), 0);
	while (!atomic_load(&waiter.noted.sentences))
		sched_yield();
	assert_non_null(strstr(waiter.noted.sentence, "all 6 seats are taken, waiting"));
	assert_non_null(strstr(waiter.noted.sentence, "--seats"));
	shmsem_close(clients[0]);
	pthread_join(thread, NULL);
	assert_int_equal(waiter.status, 0);
	for (int i = 1; i < 5; i++)
		shmsem_close(clients[i]);
}

/* Only the first looks often, as a client that dies gives its seat back without a word. */
static void who_waits_behind_others_for_a_seat_sleeps(void **state)
{
	struct waiter waiters[3];
	struct shmsem *clients[5];
	pthread_t threads[3];
	unsigned often = 0;

	for (int i = 0; i < 5; i++)
		clients[i] = connect_to(*state);
	for (int i = 0; i < 3; i++) {
		waiters[i] = (struct waiter){.scene = *state, .timeout_ns = NS_PER_SECOND};
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for_seat, &waiters[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(waiters[i].status, SHMSEM_TRY_AGAIN);
		often += atomic_load(&waiters[i].noted.sleeps) > 16;
	}
	assert_true(often <= 1);
	for (int i = 0; i < 5; i++)
		shmsem_close(clients[i]);
}

static void the_segment_under_a_held_image_can_be_checked(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_connect_options options = {
		.name_space = scene->space, .flags = SHMSEM_GUARD_SIGBUS, .timeout_ns = TIMEOUT};
	struct shmsem_image image;
	struct shmsem_error error;
	struct shmsem *guarded;
	char path[128];

	assert_int_equal(shmsem_connect(&guarded, &options, &error), 0);
	image = fetched(guarded, "a", 1);
	assert_int_equal(shmsem_check(&image, &error), 0);
	snprintf(path, sizeof path, "/dev/shm/SEG_%s_DATA", scene->space);
	assert_int_equal(truncate(path, 0), 0);
	right_pixels(&image, 1);
	assert_int_equal(shmsem_check(&image, &error), SHMSEM_BAD_DATA);
	shmsem_release(&image);
	image = (struct shmsem_image){0};
	/* The server makes it whole again, and decodes again. */
	for (uint64_t deadline = deadline_after(TIMEOUT);;) {
		int status = fetch(guarded, "b", &image);

		assert_true(clock_now() < deadline);
		if (!status && right_pixels(&image, 2) && !shmsem_check(&image, &error))
			break;
		shmsem_release(&image);
	}
	shmsem_release(&image);
	shmsem_close(guarded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)
		TEST(an_image_is_decoded_once_and_then_comes_from_the_store),
		TEST(who_asks_at_the_same_time_shares_one_decode),
		TEST(who_asks_for_a_broken_image_shares_its_error_which_is_remembered),
		TEST(more_than_one_connection_holds_are_held_by_further_ones),
		SMALL(held_pixels_stay_as_they_are_while_others_come_and_go),
		SMALL(a_store_full_of_held_images_says_so),
		TEST(a_changed_file_is_never_answered_with_old_pixels),
		TEST(a_call_after_a_restart_works_at_the_new_server),
		TEST(a_call_during_a_restart_works_at_the_new_server),
		TEST(a_call_waits_for_the_next_server_as_long_as_for_the_first),
		TEST(without_a_server_the_error_says_how_to_start_one),
		TEST(a_stopped_server_ends_the_wait_at_the_deadline_and_counts_as_alive),
		TEST(a_cancelled_call_ends_and_the_next_one_works),
		TEST(a_hook_sees_each_sleep_and_can_end_the_call),
		TEST(a_call_that_fails_gives_up_a_seat_whose_holds_are_damaged),
		TEST(requests_that_timed_out_never_disturb_later_ones),
		TEST(more_than_a_thousand_names_come_in_pages),
		TEST(info_tells_without_decoding),
		TEST(wrong_arguments_are_told_before_anything_is_asked),
		TEST(an_error_is_filled_on_success_too),
		TEST(a_child_of_fork_is_refused_and_does_no_harm),
		TEST(images_outlive_their_client_and_keep_its_seat),
		TEST(a_copy_of_a_released_image_lets_go_of_no_other),
		TEST(seats_run_out_with_a_clear_error_and_come_free),
		TEST(who_waits_for_a_seat_is_told_so),
		TEST(who_waits_behind_others_for_a_seat_sleeps),
		TEST(the_segment_under_a_held_image_can_be_checked),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
