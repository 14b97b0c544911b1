/* Images that clients hold, and the seats with which they hold them. */
#include "scene.h"
#include "test.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Writes to all pages of holds, or says whether all are whole. */
static bool hold_pages(const struct scene *scene, const uint64_t *magic)
{
	AUTO_CLOSE int fd = scene_head(scene, O_RDWR);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	bool whole = true;

	assert_true(fd >= 0);
	for (unsigned seat = 0; seat < SEATS; seat++) {
		off_t at = (off_t)wire_holds_offset(page, SEATS, seat);
		uint64_t found = 0;

		if (magic)
			assert_int_equal(pwrite(fd, magic, sizeof *magic, at), sizeof *magic);
		assert_int_equal(pread(fd, &found, sizeof found, at), sizeof found);
		whole &= found == WIRE_HOLD_MAGIC;
	}
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

/* How many seats hold an image, as the server sees it. */
static uint32_t holders(struct shmsem *client, const char *name)
{
	struct shmsem_info info;

	assert_int_equal(
		shmsem_info(client, &(struct shmsem_request){.name = name}, &info, NULL), 0);
	return info.holders;
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
	assert_int_equal(holders(scene->client, "a"), 1);
	shmsem_release(&held);
}

static void images_outlive_their_client_and_keep_its_seat(void **state)
{
	struct scene *scene = *state;
	struct shmsem *other = connect_to(scene);
	struct shmsem_image held = fetched(other, "a", 1);

	shmsem_close(other);
	assert_true(right_pixels(&held, 1));
	assert_int_equal(holders(scene->client, "a"), 1);
	shmsem_release(&held);
	assert_int_equal(holders(scene->client, "a"), 0);
}

/* Also when the hold, and the memory of the connection, have another use by then. */
static void a_copy_of_a_released_image_lets_go_of_no_other(void **state)
{
	struct scene *scene = *state;
	struct shmsem *client = connect_to(scene);
	struct shmsem_image first = fetched(client, "a", 1), copy = first, second, third;

	shmsem_release(&first);
	second = fetched(client, "b", 2);
	assert_int_equal(second.hold, copy.hold);
	first = copy;
	shmsem_release(&first);
	assert_int_equal(shmsem_check(&copy, NULL), SHMSEM_USAGE);
	assert_int_equal(holders(client, "b"), 1);
	shmsem_close(client);
	first = copy;
	shmsem_release(&first);
	assert_true(right_pixels(&second, 2));
	shmsem_release(&second);
	/* The seat is free, and all of it is gone. */
	client = connect_to(scene);
	third = fetched(client, "b", 2);
	shmsem_release(&copy);
	assert_int_equal(holders(client, "b"), 1);
	assert_int_equal(shmsem_check(&third, NULL), 0);
	shmsem_release(&third);
	shmsem_close(client);
}

enum {
	SHARED = 600, /* images: some have their hold word on a second page */
	THREADS = 2,
};

/* Copies of all images, released by one of the threads. */
struct copies {
	struct shmsem_image images[SHARED];
	int first;
	atomic_int *waiting; /* for the others, so that all begin at once */
};

static void *release_all(void *data)
{
	struct copies *copies = data;

	atomic_fetch_sub(copies->waiting, 1);
	while (atomic_load(copies->waiting) > 0)
		;
	for (int i = 0; i < SHARED; i++)
		shmsem_release(&copies->images[(copies->first + i) % SHARED]);
	return NULL;
}

/* However many threads give back what was held over it, while its client leaves it, a connection ends
 * once: then its seat is free, and nothing is held. */
static void a_connection_ends_with_its_client_and_the_last_of_its_images(void **state)
{
	struct scene *scene = *state;
	struct copies *copies = calloc(THREADS, sizeof *copies);

	assert_non_null(copies);
	for (int round = 0; round < 200; round++) {
		struct shmsem *client = connect_to(scene);
		atomic_int waiting = THREADS;
		pthread_t threads[THREADS];

		for (int i = 0; i < SHARED; i++)
			assert_int_equal(fetch(client, "a", &copies->images[i]), 0);
		for (int i = 0; i < THREADS; i++) {
			if (i)
				copies[i] = copies[0];
			copies[i].first = i * SHARED / THREADS;
			copies[i].waiting = &waiting;
		}
		for (int i = 1; i < THREADS; i++)
			assert_int_equal(
				pthread_create(&threads[i], NULL, release_all, &copies[i]), 0);
		release_all(&copies[0]);
		shmsem_close(client);
		for (int i = 1; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
	assert_int_equal(holders(scene->client, "a"), 0);
	free(copies);
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
	atomic_uint sleeps, messages;
	char message[SHMSEM_MESSAGE_SIZE];
};

static int count_sleep(void *data, int sleeps)
{
	struct noted *noted = data;

	atomic_fetch_add(&noted->sleeps, (unsigned)sleeps);
	return 0;
}

static void keep_message(void *data, int event, const char *message)
{
	struct noted *noted = data;

	if (event != SHMSEM_QUEUED || atomic_load(&noted->messages))
		return;
	strcpy(noted->message, message);
	atomic_store(&noted->messages, 1);
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
		.log = keep_message,
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
	while (!atomic_load(&waiter.noted.messages))
		sched_yield();
	assert_non_null(strstr(waiter.noted.message, "all 6 seats are taken, waiting"));
	assert_non_null(strstr(waiter.noted.message, "--seats"));
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(more_than_one_connection_holds_are_held_by_further_ones),
		TEST(a_call_that_fails_gives_up_a_seat_whose_holds_are_damaged),
		TEST(a_child_of_fork_is_refused_and_does_no_harm),
		TEST(images_outlive_their_client_and_keep_its_seat),
		TEST(a_copy_of_a_released_image_lets_go_of_no_other),
		TEST(a_connection_ends_with_its_client_and_the_last_of_its_images),
		TEST(seats_run_out_with_a_clear_error_and_come_free),
		TEST(who_waits_for_a_seat_is_told_so),
		TEST(who_waits_behind_others_for_a_seat_sleeps),
		TEST(the_segment_under_a_held_image_can_be_checked),
	};

	return cmocka_run_group_tests_name("holds", tests, NULL, NULL);
}
