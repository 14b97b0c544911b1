/* What calls of the library return, from a real server. */
#include "scene.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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
	assert_non_null(strstr(error.message, " allowed (serve --cache)"));
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

int main(void)
{
#define TEST(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_image_is_decoded_once_and_then_comes_from_the_store),
		TEST(who_asks_at_the_same_time_shares_one_decode),
		TEST(who_asks_for_a_broken_image_shares_its_error_which_is_remembered),
		SMALL(held_pixels_stay_as_they_are_while_others_come_and_go),
		SMALL(a_store_full_of_held_images_says_so),
		TEST(a_changed_file_is_never_answered_with_old_pixels),
		TEST(a_cancelled_call_ends_and_the_next_one_works),
		TEST(a_hook_sees_each_sleep_and_can_end_the_call),
		TEST(requests_that_timed_out_never_disturb_later_ones),
		TEST(more_than_a_thousand_names_come_in_pages),
		TEST(info_tells_without_decoding),
		TEST(wrong_arguments_are_told_before_anything_is_asked),
		TEST(an_error_is_filled_on_success_too),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
