/* Names that a program keeps: published images, which clients find without asking the program. */
#include "shmsem.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND        1000000000ULL
#define FIVE_FRAMES   (64 << 10) /* bytes with room for so many */
#define WITHOUT_INDEX 250        /* bytes of a name that the server is always asked for */

static char space[64];

static struct shmsem_server *serve(unsigned kept, uint64_t memory)
{
	const struct shmsem_serve_options options = {
		.name_space = space, .kept = kept, .memory = memory};
	struct shmsem_server *server;
	struct shmsem_error error;

	if (shmsem_serve(&server, &options, &error))
		fail_msg("%s", error.message);
	return server;
}

static struct shmsem *connected(uint64_t timeout_ns)
{
	const struct shmsem_connect_options options = {
		.name_space = space, .timeout_ns = timeout_ns};
	struct shmsem_error error;
	struct shmsem *client;

	if (shmsem_connect(&client, &options, &error))
		fail_msg("%s", error.message);
	return client;
}

static int get(struct shmsem *client, const char *name, struct shmsem_image *image,
	struct shmsem_error *error)
{
	return shmsem_fetch(client, &(struct shmsem_request){.name = name}, image, error);
}

static void publish(struct shmsem_server *server, const char *name, unsigned char value)
{
	const struct shmsem_info info = {.width = 100, .height = 100, .channels = 1};
	struct shmsem_error error;
	void *pixels;

	assert_int_equal(shmsem_prepare(server, &info, &pixels, NULL, &error), SHMSEM_OK);
	memset(pixels, value, 10000);
	assert_int_equal(shmsem_publish(server, name, &error), SHMSEM_OK);
}

static bool all_bytes_are(const struct shmsem_image *image, unsigned char value)
{
	const unsigned char *bytes = image->pixels;
	size_t i = 0;

	while (i < image->info.bytes && bytes[i] == value)
		i++;
	return i == image->info.bytes;
}

/* Connects while nobody answers requests: nothing needs an answer then. */
static void what_is_kept_is_found_while_the_program_does_nothing(void **state)
{
	struct shmsem_server *server = serve(2, FIVE_FRAMES);
	struct shmsem_image old, image;
	struct shmsem_error error;
	struct shmsem *client;

	(void)state;
	publish(server, "front", 1);
	client = connected(SECOND / 20);
	assert_int_equal(get(client, "front", &old, &error), SHMSEM_OK);
	assert_true(all_bytes_are(&old, 1));
	assert_true(old.info.from_store);
	/* Each is found as soon as it is published, and what is held stays as it is. */
	for (unsigned value = 2; value < 1000; value++) {
		publish(server, "front", (unsigned char)value);
		assert_int_equal(get(client, "front", &image, &error), SHMSEM_OK);
		assert_true(all_bytes_are(&image, (unsigned char)value));
		shmsem_release(&image);
	}
	assert_true(all_bytes_are(&old, 1));
	/* Another name is no business of it, nor are other options, nor what is withdrawn. */
	assert_int_equal(get(client, "back", &image, &error), SHMSEM_TRY_AGAIN);
	shmsem_withdraw(server, "front");
	assert_int_equal(get(client, "front", &image, &error), SHMSEM_TRY_AGAIN);
	publish(server, "front", 3);
	shmsem_server_close(server);
	assert_int_equal(get(client, "front", &image, &error), SHMSEM_UNAVAILABLE);
	assert_true(all_bytes_are(&old, 1));
	shmsem_release(&old);
	shmsem_close(client);
}

/* Its own channels are the image as it is; what else is asked for, nobody makes. */
static void what_is_kept_has_channels_and_no_other_form(void **state)
{
	struct shmsem_server *server = serve(2, 0);
	struct shmsem_request request = {.name = "front", .channels = 3};
	const struct shmsem_info info = {.width = 10, .height = 10, .channels = 3};
	struct shmsem_image image;
	struct shmsem_error error;
	struct shmsem *client;
	void *pixels;

	(void)state;
	publish(server, "front", 1);
	assert_int_equal(shmsem_prepare(server, &info, &pixels, NULL, &error), SHMSEM_OK);
	assert_int_equal(shmsem_publish(server, "front", &error), SHMSEM_OK);
	client = connected(SECOND / 20);
	assert_int_equal(get(client, "front", &image, &error), SHMSEM_OK);
	shmsem_release(&image);
	assert_int_equal(shmsem_fetch(client, &request, &image, &error), SHMSEM_OK);
	assert_int_equal(image.info.channels, 3);
	shmsem_release(&image);
	/* Nobody answers now; these are not found without. */
	request.channels = 1;
	assert_int_equal(shmsem_fetch(client, &request, &image, &error), SHMSEM_TRY_AGAIN);
	request.channels = 3;
	request.width = 5;
	assert_int_equal(shmsem_fetch(client, &request, &image, &error), SHMSEM_TRY_AGAIN);
	shmsem_withdraw(server, "front");
	request.width = 0;
	assert_int_equal(shmsem_fetch(client, &request, &image, &error), SHMSEM_TRY_AGAIN);
	shmsem_close(client);
	shmsem_server_close(server);
}

struct camera {
	struct shmsem_server *server;
	char long_name[WITHOUT_INDEX + 1];
	atomic_bool ended;
};

static void *film(void *context)
{
	struct camera *camera = context;

	for (unsigned value = 1; value < 2000; value++) {
		publish(camera->server, "front", (unsigned char)value);
		publish(camera->server, camera->long_name, (unsigned char)value);
	}
	atomic_store(&camera->ended, true);
	return NULL;
}

static void *answer_requests(void *server)
{
	struct shmsem_error error;

	assert_int_equal(shmsem_server_run(server, UINT64_MAX, &error), SHMSEM_OK);
	return NULL;
}

/* By one thread while another answers: whether that one is asked or not, images are whole. */
static void frames_are_published_while_another_thread_answers(void **state)
{
	struct shmsem_request request = {.name = "front", .scale = 1};
	struct camera camera = {.server = serve(2, 0)};
	struct shmsem_image image;
	struct shmsem_error error;
	pthread_t filming, answering;
	struct shmsem *client;

	(void)state;
	memset(camera.long_name, 'f', WITHOUT_INDEX);
	publish(camera.server, "front", 0);
	publish(camera.server, camera.long_name, 0);
	assert_int_equal(pthread_create(&answering, NULL, answer_requests, camera.server), 0);
	client = connected(0);
	assert_int_equal(pthread_create(&filming, NULL, film, &camera), 0);
	do {
		struct shmsem_info known;

		request.name = request.name == camera.long_name ? "front" : camera.long_name;
		assert_int_equal(shmsem_fetch(client, &request, &image, &error), SHMSEM_OK);
		assert_true(all_bytes_are(&image, *(const unsigned char *)image.pixels));
		shmsem_release(&image);
		assert_int_equal(shmsem_info(client, &request, &known, &error), SHMSEM_OK);
		request.width = 5;
		assert_int_equal(shmsem_fetch(client, &request, &image, &error), SHMSEM_USAGE);
		request.width = 0;
	} while (!atomic_load(&camera.ended));
	assert_int_equal(pthread_join(filming, NULL), 0);
	shmsem_server_stop(camera.server);
	assert_int_equal(pthread_join(answering, NULL), 0);
	shmsem_close(client);
	shmsem_server_close(camera.server);
}

/* Four that are held, and the newest. */
static void frames_that_are_held_leave_no_room_and_come_back(void **state)
{
	const struct shmsem_info info = {.width = 100, .height = 100, .channels = 1};
	struct shmsem_server *server = serve(1, FIVE_FRAMES);
	struct shmsem *client = connected(0);
	struct shmsem_image images[5];
	struct shmsem_error error;
	void *pixels;

	(void)state;
	for (int i = 0; i < 5; i++) {
		publish(server, "front", (unsigned char)i);
		assert_int_equal(get(client, "front", &images[i], &error), SHMSEM_OK);
	}
	assert_int_equal(shmsem_prepare(server, &info, &pixels, NULL, &error), SHMSEM_TRY_AGAIN);
	for (int i = 0; i < 5; i++)
		assert_true(all_bytes_are(&images[i], (unsigned char)i));
	shmsem_release(&images[2]);
	publish(server, "front", 5);
	for (int i = 0; i < 5; i++)
		if (i != 2)
			assert_true(all_bytes_are(&images[i], (unsigned char)i));
	for (int i = 0; i < 5; i++)
		shmsem_release(&images[i]);
	shmsem_close(client);
	shmsem_server_close(server);
}

/* A callback that is at it until the test says so. */
struct slow {
	struct shmsem_server *server;
	atomic_bool begun, may_end;
};

static int make_slowly(void *data, const struct shmsem_request *request,
	struct shmsem_answer *answer, struct shmsem_error *error)
{
	const struct shmsem_info info = {.width = 100, .height = 100, .channels = 1};
	struct slow *slow = data;
	void *pixels;

	(void)request;
	atomic_store(&slow->begun, true);
	while (!atomic_load(&slow->may_end))
		usleep(1000);
	return shmsem_place(answer, &info, &pixels, NULL, error);
}

/* The answer to what was given up comes when its client, or the next one on its seat, holds an image
 * that it found without asking. */
static void late_answer(bool next_client)
{
	struct slow slow = {0};
	const struct shmsem_serve_options options = {.name_space = space,
		.kept = 1,
		.memory = FIVE_FRAMES,
		.seats = 1,
		.make = make_slowly,
		.data = &slow};
	struct shmsem_image image;
	struct shmsem_error error;
	struct shmsem *client;
	pthread_t answering;

	assert_int_equal(shmsem_serve(&slow.server, &options, &error), SHMSEM_OK);
	publish(slow.server, "front", 1);
	client = connected(SECOND / 20);
	assert_int_equal(pthread_create(&answering, NULL, answer_requests, slow.server), 0);
	/* It is given up, but not before the callback has begun. */
	do
		assert_int_equal(get(client, "slow", &image, &error), SHMSEM_TRY_AGAIN);
	while (!atomic_load(&slow.begun));
	if (next_client) {
		shmsem_close(client);
		client = connected(SECOND / 20);
	}
	assert_int_equal(get(client, "front", &image, &error), SHMSEM_OK);
	atomic_store(&slow.may_end, true);
	/* It ends once it has answered. */
	shmsem_server_stop(slow.server);
	assert_int_equal(pthread_join(answering, NULL), 0);
	for (unsigned value = 2; value < 20; value++)
		publish(slow.server, "front", (unsigned char)value);
	assert_true(all_bytes_are(&image, 1));
	shmsem_release(&image);
	shmsem_close(client);
	shmsem_server_close(slow.server);
}

static void a_late_answer_lets_go_of_nothing(void **state)
{
	(void)state;
	late_answer(false);
	late_answer(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_late_answer_lets_go_of_nothing),
		cmocka_unit_test(what_is_kept_is_found_while_the_program_does_nothing),
		cmocka_unit_test(what_is_kept_has_channels_and_no_other_form),
		cmocka_unit_test(frames_are_published_while_another_thread_answers),
		cmocka_unit_test(frames_that_are_held_leave_no_room_and_come_back),
	};

	alarm(600);
	snprintf(space, sizeof space, "test-responder-keep-%d", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
