/* Images that are decoded before somebody asks for them, by a real server. */
#include "scene.h"
#include "test.h"

#include "base/cleanup.h"
#include "base/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the small scene, whose store has 1 MiB: an image of 48 KiB. */
#define SIDE 128

static void write_images(const struct scene *scene, unsigned count)
{
	char name[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(scene, name, i, SIDE, SIDE);
	}
}

static struct shmsem_request named(const char *name)
{
	return (struct shmsem_request){.name = name};
}

static void prefetch(struct shmsem *client, const char *name, struct shmsem_prefetched *ret)
{
	const struct shmsem_request request = named(name);
	struct shmsem_error error;

	if (shmsem_prefetch(client, &request, ret, &error))
		fail_msg("%s: %s", name, error.message);
}

static void prefetch_number(struct shmsem *client, unsigned number)
{
	char name[32];

	snprintf(name, sizeof name, "%u", number);
	prefetch(client, name, NULL);
}

/* Waits until so many are decoded or failed. */
static struct shmsem_prefetched done(struct shmsem *client, uint64_t count)
{
	struct shmsem_prefetched got = {0};
	struct shmsem_error error;

	while (got.decoded + got.failed < count)
		if (shmsem_prefetch_wait(client, 0, &got, &error))
			fail_msg("%s", error.message);
	return got;
}

static uint64_t decodes(const struct scene *scene)
{
	return counter(scene, WIRE_COUNT_DECODES);
}

/* Whether it was decoded already. */
static bool fetch_stored(struct shmsem *client, unsigned number)
{
	char name[32];
	struct shmsem_image image;
	bool stored;

	snprintf(name, sizeof name, "%u", number);
	image = fetched(client, name, number);
	stored = image.info.from_store;
	shmsem_release(&image);
	return stored;
}

static void what_was_prefetched_is_found_decoded(void **state)
{
	struct scene *scene = *state;
	struct shmsem *ahead = connect_to(scene);
	struct shmsem_prefetched got;

	write_images(scene, 10);
	for (unsigned i = 0; i < 10; i++)
		prefetch_number(ahead, i);
	got = done(ahead, 10);
	assert_int_equal(got.listed, 0);
	assert_int_equal(got.decoded, 10);
	assert_int_equal(got.unused, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_true(fetch_stored(scene->client, i));
	assert_int_equal(decodes(scene), 10);
	/* Stored already. */
	prefetch(ahead, "3", &got);
	assert_int_equal(got.listed, 0);
	assert_int_equal(got.decoded, 11);
	/* The same file under another name. */
	prefetch(ahead, "4.png", NULL);
	got = done(ahead, 12);
	assert_int_equal(decodes(scene), 10);
	shmsem_close(ahead);
}

static void options_are_those_of_a_fetch(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_request half = {.name = "a", .scale = 2}, whole = {.name = "a"};
	struct shmsem_image image;

	assert_int_equal(shmsem_prefetch(scene->client, &half, NULL, NULL), 0);
	done(scene->client, 1);
	assert_int_equal(shmsem_fetch(scene->client, &half, &image, NULL), 0);
	assert_true(image.info.from_store);
	shmsem_release(&image);
	assert_int_equal(shmsem_fetch(scene->client, &whole, &image, NULL), 0);
	assert_false(image.info.from_store);
	shmsem_release(&image);
}

static void what_fails_is_told_once_by_name(void **state)
{
	struct scene *scene = *state;
	struct shmsem_prefetched got;
	unsigned told = 0;
	FILE *file;
	char path[128];

	snprintf(path, sizeof path, "%s/bad.png", scene->folder);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("no image", file);
	fclose(file);
	prefetch(scene->client, "nothing", &got);
	if (!got.status)
		assert_int_equal(shmsem_prefetch_wait(scene->client, 0, &got, NULL), 0);
	assert_int_equal(got.status, SHMSEM_NOT_FOUND);
	assert_string_equal(got.name, "nothing");
	assert_non_null(strstr(got.message, "nothing"));
	for (int i = 0; i < 3; i++) {
		prefetch(scene->client, "bad", &got);
		told += got.status == SHMSEM_BAD_DATA;
	}
	while (told < 3) {
		assert_int_equal(shmsem_prefetch_wait(scene->client, 0, &got, NULL), 0);
		assert_int_equal(got.status, SHMSEM_BAD_DATA);
		assert_string_equal(got.name, "bad");
		told++;
	}
	assert_int_equal(shmsem_prefetch_wait(scene->client, 0, &got, NULL), 0);
	assert_int_equal(got.status, 0);
	assert_int_equal(got.failed, 4);
	assert_int_equal(got.decoded + got.listed, 0);
}

/* Whether it is decoded, without fetching it. */
static bool look_at(struct shmsem *client, unsigned number)
{
	char name[32];
	struct shmsem_info info;
	struct shmsem_request request;

	snprintf(name, sizeof name, "%u", number);
	request = named(name);
	assert_int_equal(shmsem_info(client, &request, &info, NULL), 0);
	return info.from_store;
}

/* With an image in the window, stops the decoder and lists 0.png, at which it is then: what comes after
 * it in the list has failed. */
static void stop_at_image(const struct scene *scene, pid_t decoder)
{
	struct shmsem_prefetched got;

	prefetch(scene->client, "a", NULL);
	done(scene->client, 1);
	write_images(scene, 1);
	/* So it is opened at once. */
	look_at(scene->client, 0);
	stop(decoder);
	prefetch_number(scene->client, 0);
	prefetch(scene->client, "nothing", &got);
	while (!got.status)
		assert_int_equal(shmsem_prefetch_wait(scene->client, 0, &got, NULL), 0);
	assert_string_equal(got.name, "nothing");
}

static void what_lost_its_decoder_is_told(void **state)
{
	struct scene *scene = *state;
	struct shmsem_prefetched got = {.decoded = 1, .failed = 1};
	pid_t decoder = decoder_of(scene);

	stop_at_image(scene, decoder);
	kill(decoder, SIGKILL);
	assert_int_equal(shmsem_prefetch_wait(scene->client, 0, &got, NULL), 0);
	assert_int_equal(got.status, SHMSEM_TRY_AGAIN);
	assert_string_equal(got.name, "0");
	assert_int_equal(got.listed, 0);
}

static void what_nobody_waited_for_is_told_later(void **state)
{
	struct scene *scene = *state;
	struct shmsem_prefetched got = {.decoded = 1, .failed = 1}, none = got;
	pid_t decoder = decoder_of(scene);
	uint64_t failures;

	stop_at_image(scene, decoder);
	failures = counter(scene, WIRE_COUNT_FAILURES);
	assert_int_equal(shmsem_prefetch_wait(scene->client, 1, &none, NULL), SHMSEM_TRY_AGAIN);
	kill(decoder, SIGKILL);
	while (counter(scene, WIRE_COUNT_FAILURES) == failures)
		sched_yield();
	assert_int_equal(shmsem_prefetch_wait(scene->client, 0, &got, NULL), 0);
	assert_int_equal(got.failed, 2);
	assert_int_equal(got.status, SHMSEM_TRY_AGAIN);
	assert_string_equal(got.name, "0");
}

static void what_changes_meanwhile_is_decoded_as_it_is_then(void **state)
{
	struct scene *scene = *state;
	pid_t decoder = decoder_of(scene);
	struct shmsem_prefetched got;
	struct shmsem_image image;

	stop_at_image(scene, decoder);
	write_image(scene, "0.png", 7, SIDE, SIDE);
	kill(decoder, SIGCONT);
	got = done(scene->client, 3);
	assert_int_equal(got.decoded, 2);
	image = fetched(scene->client, "0", 7);
	assert_true(image.info.from_store);
	shmsem_release(&image);
}

struct asking {
	struct shmsem *client;
	unsigned number;
	bool stored;
};

static void *ask(void *data)
{
	struct asking *asking = data;

	asking->stored = fetch_stored(asking->client, asking->number);
	return NULL;
}

/* When an image was decoded; a wait of ours or the server's makes it earlier, but not each time. */
static uint64_t decoded_at(struct shmsem *client, unsigned number)
{
	uint64_t latest = 0;
	char name[32];
	struct shmsem_info info;
	struct shmsem_request request;

	snprintf(name, sizeof name, "%u", number);
	request = named(name);
	for (int i = 0; i < 50; i++) {
		uint64_t now = clock_now();

		assert_int_equal(shmsem_info(client, &request, &info, NULL), 0);
		if (now - info.age_ns > latest)
			latest = now - info.age_ns;
	}
	return latest;
}

/* How many seats have a request that the server works on. */
static unsigned taken_requests(const struct scene *scene)
{
	AUTO_CLOSE int fd = scene_head(scene, O_RDONLY);
	unsigned taken = 0;
	struct wire_seat seat;

	assert_true(fd >= 0);
	for (int i = 0; i < SEATS; i++) {
		assert_int_equal(
			pread(fd, &seat, sizeof seat, i * (off_t)page_size()), sizeof seat);
		taken += WIRE_STATE(atomic_load(&seat.state_word)) == WIRE_TAKEN;
	}
	return taken;
}

/* With one decoder, stopped at image 0, and 1 to 4 in the list. */
static void who_waits_comes_first_and_the_order_is_kept(void **state)
{
	struct scene *scene = *state;
	struct asking asking = {.client = scene->client, .number = 3};
	struct shmsem *ahead = connect_to(scene);
	struct shmsem_prefetched got;
	pid_t decoder = decoder_of(scene);
	uint64_t at[5];
	pthread_t thread;

	write_images(scene, 5);
	/* So the kernel has all that leads to the files in memory, and they are opened at once. */
	for (unsigned i = 0; i < 5; i++)
		look_at(scene->client, i);
	stop(decoder);
	for (unsigned i = 0; i < 5; i++)
		prefetch_number(ahead, i);
	assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
	/* Its request is there before the decoder goes on. */
	while (!taken_requests(scene))
		sched_yield();
	kill(decoder, SIGCONT);
	pthread_join(thread, NULL);
	got = done(ahead, 5);
	assert_int_equal(got.failed, 0);
	assert_int_equal(decodes(scene), 5);
	assert_false(asking.stored);
	/* What somebody waited for is used. */
	assert_int_equal(got.unused, 4);
	for (unsigned i = 0; i < 5; i++)
		at[i] = decoded_at(scene->client, i);
	assert_true(at[0] < at[3]);
	assert_true(at[3] < at[1] && at[1] < at[2] && at[2] < at[4]);
	shmsem_close(ahead);
}

static void a_full_list_lets_its_client_wait(void **state)
{
	struct scene *scene = *state;
	struct shmsem_request request = named("0");
	pid_t decoder = decoder_of(scene);
	struct shmsem_prefetched got;
	struct shmsem_error error;

	write_images(scene, 1);
	stop(decoder);
	for (unsigned i = 0; i < SHMSEM_PREFETCH_MAX; i++)
		prefetch(scene->client, "0", &got);
	assert_int_equal(got.listed, SHMSEM_PREFETCH_MAX);
	request.timeout_ns = 1;
	assert_int_equal(shmsem_prefetch(scene->client, &request, &got, &error), SHMSEM_TRY_AGAIN);
	assert_int_equal(shmsem_prefetch_wait(scene->client, 1, &got, &error), SHMSEM_TRY_AGAIN);
	kill(decoder, SIGCONT);
	prefetch(scene->client, "0", &got);
	got = done(scene->client, SHMSEM_PREFETCH_MAX + 1);
	assert_int_equal(got.decoded, SHMSEM_PREFETCH_MAX + 1);
	assert_int_equal(decodes(scene), 1);
}

static void who_gave_up_waiting_has_listed_nothing(void **state)
{
	struct scene *scene = *state;
	struct shmsem_request request = named("0");
	pid_t decoder = decoder_of(scene);
	struct shmsem_prefetched got;

	write_images(scene, 1);
	stop(decoder);
	for (unsigned i = 0; i < SHMSEM_PREFETCH_MAX; i++)
		prefetch(scene->client, "0", NULL);
	request.timeout_ns = 1;
	assert_int_equal(shmsem_prefetch(scene->client, &request, NULL, NULL), SHMSEM_TRY_AGAIN);
	kill(decoder, SIGCONT);
	while (!decodes(scene))
		sched_yield();
	got = done(scene->client, SHMSEM_PREFETCH_MAX);
	assert_int_equal(got.decoded, SHMSEM_PREFETCH_MAX);
	assert_int_equal(got.listed, 0);
}

/* 50 images of 48 KiB for a store of 1 MiB, of which the index has some. */
#define MANY 50

static void the_window_follows_the_readers(void **state)
{
	struct scene *scene = *state;
	struct shmsem_prefetched got = {0};
	unsigned stored = 0;
	struct shmsem *ahead;

	/* Of two decoders the one that began later may be done first. */
	end_server(scene, SIGTERM);
	start_server(scene, "1", "1M");
	ahead = connect_to(scene);
	write_images(scene, MANY);
	for (unsigned i = 0; i < MANY; i++)
		prefetch_number(ahead, i);
	for (unsigned i = 0; i < MANY; i++) {
		while (got.decoded <= i)
			assert_int_equal(shmsem_prefetch_wait(ahead, 0, &got, NULL), 0);
		stored += fetch_stored(scene->client, i);
	}
	assert_int_equal(stored, MANY);
	assert_int_equal(decodes(scene), MANY);
	assert_int_equal(got.failed, 0);
	assert_true(counter(scene, WIRE_COUNT_EVICTIONS) > 0);
	shmsem_close(ahead);
}

/* Of a list that nobody reads. */
static void a_full_window_is_told(void **state)
{
	struct scene *scene = *state;
	struct shmsem *ahead = connect_to(scene);
	struct shmsem_prefetched got;

	write_images(scene, MANY);
	prefetch(ahead, "0", &got);
	assert_int_equal(done(ahead, 1).full, 0);
	for (unsigned i = 0; i < MANY; i++)
		prefetch_number(ahead, i);
	do {
		got = (struct shmsem_prefetched){0};
		assert_int_equal(shmsem_prefetch_wait(ahead, 0, &got, NULL), 0);
	} while (!got.full);
	assert_true(got.listed && got.unused);
	for (unsigned i = 0; i < MANY; i++)
		fetch_stored(scene->client, i);
	assert_int_equal(done(ahead, MANY + 1).full, 0);
	shmsem_close(ahead);
}

/* What others fetch takes other room than that of what is not used yet, as long as there is some. */
static void what_is_not_used_yet_stays(void **state)
{
	struct scene *scene = *state;
	struct shmsem *ahead = connect_to(scene);
	uint64_t before;

	write_images(scene, MANY);
	for (unsigned i = 0; i < 8; i++)
		prefetch_number(ahead, i);
	done(ahead, 8);
	for (unsigned i = 8; i < MANY; i++)
		fetch_stored(scene->client, i);
	before = decodes(scene);
	for (unsigned i = 0; i < 8; i++)
		assert_true(fetch_stored(scene->client, i));
	assert_int_equal(decodes(scene), before);
	shmsem_close(ahead);
}

/* So does what was stored before it was listed: 12 of the 15 images that the window takes. */
static void what_was_stored_before_stays(void **state)
{
	struct scene *scene = *state;
	struct shmsem *ahead = connect_to(scene);
	struct shmsem_prefetched got;

	write_images(scene, MANY);
	for (unsigned i = 0; i < 12; i++)
		fetch_stored(scene->client, i);
	for (unsigned i = 0; i < MANY; i++)
		prefetch_number(ahead, i);
	got = done(ahead, 15);
	assert_int_equal(got.unused, got.decoded);
	for (unsigned i = 25; i < MANY; i++)
		fetch_stored(scene->client, i);
	for (unsigned i = 0; i < 12; i++)
		assert_true(fetch_stored(scene->client, i));
	shmsem_close(ahead);
}

/* The window has nothing but what they read before there was a list. */
static void readers_that_are_ahead_do_not_stop_the_list(void **state)
{
	struct scene *scene = *state;
	struct shmsem *ahead = connect_to(scene);

	write_images(scene, MANY);
	for (unsigned i = 0; i < 16; i++)
		fetch_stored(scene->client, i);
	for (unsigned i = 0; i < MANY; i++)
		prefetch_number(ahead, i);
	done(ahead, 15);
	for (unsigned i = 16; i < 3 * MANY; i++)
		fetch_stored(scene->client, 16 + i % (MANY - 16));
	assert_true(done(ahead, 20).decoded >= 20);
	shmsem_close(ahead);
}

/* All the room is that of what is not used yet, or held. */
static void who_waits_gets_room_all_the_same(void **state)
{
	struct scene *scene = *state;
	struct shmsem *ahead = connect_to(scene);
	const struct shmsem_request large = {.name = "large"};
	struct shmsem_image image;
	struct shmsem_error error;

	write_images(scene, MANY);
	write_image(scene, "large.png", 7, 400, 300); /* as seven of the others */
	for (unsigned i = 0; i < MANY; i++)
		prefetch_number(ahead, i);
	done(ahead, 10);
	/* Of two decoders either may be done first, and a look at an image is no use of it: its place is
	 * that in the list. */
	while (!look_at(scene->client, 0))
		sched_yield();
	if (shmsem_fetch(scene->client, &large, &image, &error))
		fail_msg("%s", error.message);
	assert_true(right_pixels(&image, 7));
	shmsem_release(&image);
	/* The last of the list went first. */
	assert_true(fetch_stored(scene->client, 0));
	shmsem_close(ahead);
}

static void a_list_ends_with_its_client(void **state)
{
	struct scene *scene = *state;
	struct shmsem *ahead = connect_to(scene), *next;
	struct shmsem_prefetched got;
	unsigned others = 0;

	write_images(scene, MANY);
	for (unsigned i = 0; i < MANY; i++)
		prefetch_number(ahead, i);
	got = done(ahead, 8);
	shmsem_close(ahead);
	/* On the same seat. */
	next = connect_to(scene);
	got = (struct shmsem_prefetched){0};
	assert_int_equal(shmsem_prefetch_wait(next, 0, &got, NULL), 0);
	assert_int_equal(got.listed + got.decoded + got.unused, 0);
	/* What is left of it is as other images, and goes with time. */
	while (fetch_stored(scene->client, 0))
		for (unsigned i = 10; i < MANY; i++)
			others += fetch_stored(scene->client, i);
	assert_true(others < MANY);
	shmsem_close(next);
}

/* A process that has as many in its list as there is room for. */
static pid_t fill_a_list(const struct scene *scene)
{
	int full[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(full), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct shmsem *client = connect_to(scene);

		for (unsigned i = 0; i < SHMSEM_PREFETCH_MAX; i++)
			prefetch_number(client, i % MANY);
		_exit(write(full[1], "", 1) == 1 ? pause() : 1);
	}
	close(full[1]);
	assert_int_equal(read(full[0], &byte, 1), 1);
	close(full[0]);
	return child;
}

static void the_list_of_a_client_that_was_killed_is_dropped(void **state)
{
	struct scene *scene = *state;
	pid_t decoder = decoder_of(scene), child;
	struct shmsem *next;

	write_images(scene, MANY);
	stop(decoder);
	child = fill_a_list(scene);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	/* On the seat that it had. */
	next = connect_to(scene);
	prefetch(next, "a", NULL);
	kill(decoder, SIGCONT);
	done(next, 1);
	/* And what was with the decoder, or open for it. */
	assert_true(decodes(scene) <= 4);
	shmsem_close(next);
}

static void a_server_that_ended_has_forgotten_the_list(void **state)
{
	struct scene *scene = *state;
	const struct shmsem_request request = named("a");
	struct shmsem_prefetched got;
	struct shmsem_error error;

	prefetch(scene->client, "a", NULL);
	done(scene->client, 1);
	end_server(scene, SIGKILL);
	start_server(scene, "1", "16M");
	shmsem_close(connect_to(scene));
	assert_int_equal(
		shmsem_prefetch(scene->client, &request, &got, &error), SHMSEM_UNAVAILABLE);
	assert_non_null(strstr(error.message, "forgotten"));
	prefetch(scene->client, "a", &got);
	got = done(scene->client, 1);
	/* A client that had no list goes on at the successor. */
	shmsem_close(scene->client);
	scene->client = connect_to(scene);
	end_server(scene, SIGKILL);
	start_server(scene, "1", "16M");
	shmsem_close(connect_to(scene));
	prefetch(scene->client, "a", &got);
}

static void *run_server(void *server)
{
	shmsem_server_run(server, UINT64_MAX, NULL);
	return NULL;
}

static void a_program_that_serves_cannot_prefetch(void **state)
{
	const struct scene *scene = *state;
	struct shmsem_serve_options options = {.kept = 1};
	struct shmsem_connect_options connect = {0};
	const struct shmsem_request request = named("a");
	struct shmsem_server *server;
	struct shmsem_error error;
	struct shmsem *client;
	char space[80];
	pthread_t thread;

	snprintf(space, sizeof space, "%s-own", scene->space);
	options.name_space = connect.name_space = space;
	assert_int_equal(shmsem_serve(&server, &options, &error), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_server, server), 0);
	assert_int_equal(shmsem_connect(&client, &connect, &error), 0);
	assert_int_equal(shmsem_prefetch(client, &request, NULL, &error), SHMSEM_USAGE);
	assert_string_equal(error.message, "this server cannot prefetch");
	shmsem_server_stop(server);
	pthread_join(thread, NULL);
	shmsem_close(client);
	shmsem_server_close(server);
}

/* A loader: workers that read images in order, and a client that has them decoded ahead. */
struct loader {
	const struct scene *scene;
	unsigned images;
	bool throttled; /* no worker reads what the decoders have not come to yet */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t decoded;
	_Atomic unsigned next, stored;
};

/* Decoders work at neighbours at the same time. */
#define MARGIN 8

static void await_decoders(struct loader *loader, unsigned number)
{
	uint64_t wanted = number + MARGIN < loader->images ? number + MARGIN : loader->images;

	pthread_mutex_lock(&loader->lock);
	while (loader->decoded < wanted)
		pthread_cond_wait(&loader->moved, &loader->lock);
	pthread_mutex_unlock(&loader->lock);
}

static void *work(void *data)
{
	struct loader *loader = data;
	struct shmsem *client = connect_to(loader->scene);
	unsigned number;

	while ((number = loader->next++) < loader->images) {
		if (loader->throttled)
			await_decoders(loader, number);
		loader->stored += fetch_stored(client, number);
	}
	shmsem_close(client);
	return NULL;
}

static void say_decoded(struct loader *loader, const struct shmsem_prefetched *got)
{
	assert_int_equal(got->failed, 0);
	pthread_mutex_lock(&loader->lock);
	loader->decoded = got->decoded;
	pthread_cond_broadcast(&loader->moved);
	pthread_mutex_unlock(&loader->lock);
}

static void *keep_ahead(void *data)
{
	struct loader *loader = data;
	struct shmsem *client = connect_to(loader->scene);
	struct shmsem_prefetched got = {0};
	struct shmsem_error error;
	char name[32];

	for (unsigned i = 0; i < loader->images; i++) {
		snprintf(name, sizeof name, "%u", i);
		prefetch(client, name, &got);
		say_decoded(loader, &got);
	}
	while (got.listed) {
		if (shmsem_prefetch_wait(client, 0, &got, &error))
			fail_msg("%s", error.message);
		say_decoded(loader, &got);
	}
	shmsem_close(client);
	return NULL;
}

#define WORKERS 8

static void start_large_server(struct scene *scene, const char *decoders)
{
	end_server(scene, SIGTERM);
	start_server_for(scene, "10", decoders, "16M");
	shmsem_close(connect_to(scene));
}

static void load(struct loader *loader)
{
	pthread_t workers[WORKERS], ahead;

	pthread_mutex_init(&loader->lock, NULL);
	pthread_cond_init(&loader->moved, NULL);
	assert_int_equal(pthread_create(&ahead, NULL, keep_ahead, loader), 0);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, work, loader), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	pthread_join(ahead, NULL);
}

/* The store has room for one in ten of them. */
static void a_loader_finds_decoded_what_it_reads(void **state)
{
	struct scene *scene = *state;
	struct loader loader = {.scene = scene, .images = 10000, .throttled = true};
	char name[32];

	for (unsigned i = 0; i < loader.images; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(scene, name, i, 64, 64);
	}
	start_large_server(scene, "2");
	load(&loader);
	assert_true(loader.stored >= loader.images / 100 * 95);
	assert_int_equal(decodes(scene), loader.images);
}

static void with_too_few_decoders_nothing_is_decoded_twice(void **state)
{
	struct scene *scene = *state;
	struct loader loader = {.scene = scene, .images = 1000};
	char name[32];

	for (unsigned i = 0; i < loader.images; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(scene, name, i, 64, 64);
	}
	start_large_server(scene, "1");
	load(&loader);
	assert_int_equal(decodes(scene), loader.images);
}

int main(void)
{
#define TEST(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_was_prefetched_is_found_decoded),
		TEST(options_are_those_of_a_fetch),
		TEST(what_fails_is_told_once_by_name),
		TEST(what_lost_its_decoder_is_told),
		TEST(what_nobody_waited_for_is_told_later),
		TEST(what_changes_meanwhile_is_decoded_as_it_is_then),
		TEST(who_waits_comes_first_and_the_order_is_kept),
		TEST(a_full_list_lets_its_client_wait),
		TEST(who_gave_up_waiting_has_listed_nothing),
		SMALL(the_window_follows_the_readers),
		SMALL(a_full_window_is_told),
		SMALL(what_is_not_used_yet_stays),
		SMALL(what_was_stored_before_stays),
		SMALL(readers_that_are_ahead_do_not_stop_the_list),
		SMALL(who_waits_gets_room_all_the_same),
		SMALL(a_list_ends_with_its_client),
		TEST(the_list_of_a_client_that_was_killed_is_dropped),
		TEST(a_server_that_ended_has_forgotten_the_list),
		TEST(a_program_that_serves_cannot_prefetch),
		TEST(a_loader_finds_decoded_what_it_reads),
		TEST(with_too_few_decoders_nothing_is_decoded_twice),
	};

	return cmocka_run_group_tests_name("prefetch", tests, NULL, NULL);
}
