/*
 * libshmsem as its users see it: responder, requesters and queues in one process, through shmsem.h
 * alone. The same program is run under ThreadSanitizer.
 */
#include "shmsem.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY    500
#define THREADS 8
#define ROUNDS  100
#define SECOND  1000000000ULL
#define MEMORY  (8ULL << 20)
#define LARGE   3000 /* pixels a side: one in 8 MiB would need two */

static char space[64];

/* ---- a responder that draws ---- */

struct drawing {
	struct shmsem_server *server;
	pthread_t thread;
	int status;
	struct shmsem_error error;
};

/* What the client asked for last. */
static struct shmsem_request last_request;

static int draw(void *data, const struct shmsem_request *request, struct shmsem_answer *answer,
	struct shmsem_error *error)
{
	struct shmsem_info info = {.width = 7,
		.height = 5,
		.channels = 3,
		.icc_bytes = 4,
		.gamma = 45455,
		.comments = 6,
		.animated = 1,
		.srgb = 3,
		.chromaticities = {31270, 32900, 64000, 33000, -1, 0, 0, 7}};
	void *pixels, *icc;
	int status;

	(void)data;
	if (!strcmp(request->name, "none"))
		return shmsem_fail(error, SHMSEM_NOT_FOUND, "there is no '%s'", request->name);
	if (!strcmp(request->name, "nothing"))
		return SHMSEM_OK;
	if (!strcmp(request->name, "deep"))
		info.bits = 16;
	if (!strcmp(request->name, "large"))
		info = (struct shmsem_info){.width = LARGE, .height = 2000, .channels = 1};
	if (!strcmp(request->name, "impossible"))
		info.channels = 5;
	last_request = *request;
	if (!strcmp(request->name, "overlooked")) {
		info.height = 0;
		assert_int_equal(shmsem_place(answer, &info, &pixels, &icc, NULL), SHMSEM_INTERNAL);
		return SHMSEM_OK;
	}
	status = shmsem_place(answer, &info, &pixels, &icc, error);
	if (status || !pixels)
		return status;
	memset(pixels, request->name[0],
		(size_t)info.width * info.height * info.channels * (info.bits == 16 ? 2 : 1));
	if (info.icc_bytes)
		memcpy(icc, "icc!", 4);
	return SHMSEM_OK;
}

static int list(void *data, struct shmsem_answer *answer, struct shmsem_error *error)
{
	int status = SHMSEM_OK;
	char name[32];

	(void)data;
	for (int i = MANY - 1; i >= 0 && !status; i--) {
		snprintf(name, sizeof name, "a-rather-long-name-%03d", i);
		status = shmsem_add_name(answer, name, error);
	}
	return status;
}

static void *run(void *context)
{
	struct drawing *drawing = context;

	drawing->status = shmsem_server_run(drawing->server, UINT64_MAX, &drawing->error);
	return NULL;
}

static void make_server(struct drawing *drawing, unsigned seats)
{
	struct shmsem_error error;
	struct shmsem_serve_options options = {.name_space = space,
		.seats = seats,
		.memory = MEMORY,
		.flags = SHMSEM_GUARD_SIGBUS,
		.make = draw,
		.names = list};

	if (shmsem_serve(&drawing->server, &options, &error))
		fail_msg("%s", error.message);
}

static void start(struct drawing *drawing, unsigned seats)
{
	make_server(drawing, seats);
	assert_int_equal(pthread_create(&drawing->thread, NULL, run, drawing), 0);
}

static void stop(struct drawing *drawing)
{
	shmsem_server_stop(drawing->server);
	pthread_join(drawing->thread, NULL);
	assert_int_equal(drawing->status, SHMSEM_OK);
	shmsem_server_close(drawing->server);
}

static struct shmsem *connected(void)
{
	struct shmsem_error error;
	struct shmsem *client;

	if (shmsem_connect(&client, &(struct shmsem_connect_options){.name_space = space}, &error))
		fail_msg("%s", error.message);
	return client;
}

static int get(struct shmsem *client, const char *name, struct shmsem_image *image,
	struct shmsem_error *error)
{
	return shmsem_fetch(client, &(struct shmsem_request){.name = name}, image, error);
}

static void expect_filled(const struct shmsem_image *image, char with)
{
	const char *pixels = image->pixels;

	for (uint64_t i = 0; i < image->info.bytes; i++)
		if (pixels[i] != with)
			fail_msg("byte %llu is %d", (unsigned long long)i, pixels[i]);
}

/* ---- the server of a test whose state is a client of it ---- */

static struct drawing served;

static int set_up(void **state)
{
	start(&served, 2);
	*state = connected();
	return 0;
}

static int tear_down(void **state)
{
	shmsem_close(*state);
	stop(&served);
	return 0;
}

/* ---- tests ---- */

static int exit_of(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int cut_under_an_image(void)
{
	struct shmsem_connect_options options = {.name_space = space, .flags = SHMSEM_GUARD_SIGBUS};
	struct shmsem_image image;
	struct drawing drawing;
	struct shmsem *client;
	char name[128];
	int fd, wrong;

	start(&drawing, 1);
	if (shmsem_connect(&client, &options, NULL) || get(client, "x", &image, NULL) ||
		shmsem_check(&image, NULL))
		return 1;
	snprintf(name, sizeof name, "/SEG_%s_DATA", space);
	fd = shm_open(name, O_RDWR, 0);
	if (fd < 0 || ftruncate(fd, 0) != 0)
		return 2;
	close(fd);
	wrong = *(const volatile char *)image.pixels != 0;
	wrong |= shmsem_check(&image, NULL) != SHMSEM_BAD_DATA;
	shmsem_release(&image);
	shmsem_close(client);
	stop(&drawing);
	return wrong;
}

/* In a child: cmocka takes SIGBUS for itself at the beginning of every test, after the first one to
 * use the guard has installed it for good. */
static void a_cut_segment_is_told_instead_of_a_death(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(cut_under_an_image());
	assert_int_equal(exit_of(child), 0);
}

static void an_image_that_a_callback_made_arrives_as_it_was_made(void **state)
{
	struct shmsem_image image;
	struct drawing drawing;
	struct shmsem *client;

	(void)state;
	start(&drawing, 2);
	client = connected();
	assert_int_equal(get(client, "deep", &image, NULL), SHMSEM_OK);
	assert_int_equal(image.info.width, 7);
	assert_int_equal(image.info.height, 5);
	assert_int_equal(image.info.bits, 16);
	assert_int_equal(image.info.stride, 7 * 3 * 2);
	assert_int_equal(image.info.bytes, 5 * 7 * 3 * 2);
	assert_int_equal(image.info.icc_bytes, 4);
	assert_memory_equal(image.icc, "icc!", 4);
	assert_int_equal(image.info.gamma, 45455);
	assert_int_equal(image.info.comments, 6);
	assert_int_equal(image.info.animated, 1);
	assert_int_equal(image.info.srgb, 3);
	assert_int_equal(image.info.chromaticities[0], 31270);
	assert_int_equal(image.info.chromaticities[4], -1);
	assert_int_equal(image.info.chromaticities[7], 7);
	expect_filled(&image, 'd');
	shmsem_close(client);
	stop(&drawing);
	expect_filled(&image, 'd');
	shmsem_release(&image);
}

static void what_a_callback_refuses_is_refused_in_its_words(void **state)
{
	struct shmsem *client = *state;
	struct shmsem_image image;
	struct shmsem_error error;

	assert_int_equal(get(client, "none", &image, &error), SHMSEM_NOT_FOUND);
	assert_string_equal(error.message, "there is no 'none'");
	assert_int_equal(get(client, "nothing", &image, &error), SHMSEM_INTERNAL);
	assert_int_equal(get(client, "impossible", &image, &error), SHMSEM_INTERNAL);
	assert_int_equal(get(client, "overlooked", &image, &error), SHMSEM_INTERNAL);
	assert_int_equal(get(client, "", &image, &error), SHMSEM_USAGE);
	assert_int_equal(get(client, "good", &image, &error), SHMSEM_OK);
	shmsem_release(&image);
}

static void what_is_known_of_an_image_takes_no_room(void **state)
{
	struct shmsem *client = *state;
	struct shmsem_info info;

	for (int i = 0; i < 4; i++)
		assert_int_equal(
			shmsem_info(client, &(struct shmsem_request){.name = "large"}, &info, NULL),
			SHMSEM_OK);
	assert_int_equal(info.bytes, LARGE * 2000);
}

static void room_is_used_again_once_nobody_holds_it(void **state)
{
	struct shmsem *client = *state;
	struct shmsem_image first, second;
	struct shmsem_error error;

	assert_int_equal(get(client, "large", &first, NULL), SHMSEM_OK);
	assert_int_equal(get(client, "large", &second, &error), SHMSEM_TRY_AGAIN);
	assert_non_null(strstr(error.message, "held by clients"));
	expect_filled(&first, 'l');
	shmsem_release(&first);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(get(client, "large", &second, NULL), SHMSEM_OK);
		shmsem_release(&second);
	}
}

static int check_next(void *data, const char *name)
{
	char expected[32];
	int *next = data;

	snprintf(expected, sizeof expected, "a-rather-long-name-%03d", (*next)++);
	assert_string_equal(name, expected);
	return 0;
}

static void names_come_in_order_however_many(void **state)
{
	struct shmsem *client = *state;
	int next = 0;

	assert_int_equal(shmsem_names(client, check_next, &next, NULL), SHMSEM_OK);
	assert_int_equal(next, MANY);
}

static void many_are_fetched_each_with_its_own_outcome(void **state)
{
	struct shmsem *client = *state;
	struct shmsem_request requests[] = {{.name = "a"}, {.name = "none"}, {.name = "b"}};
	struct shmsem_image images[3];
	struct shmsem_error error;
	int statuses[3];

	assert_int_equal(
		shmsem_fetch_many(client, requests, 3, images, statuses, &error), SHMSEM_NOT_FOUND);
	assert_string_equal(error.message, "there is no 'none'");
	assert_int_equal(statuses[0], SHMSEM_OK);
	assert_int_equal(statuses[1], SHMSEM_NOT_FOUND);
	assert_int_equal(statuses[2], SHMSEM_OK);
	expect_filled(&images[0], 'a');
	expect_filled(&images[2], 'b');
	for (int i = 0; i < 3; i++)
		shmsem_release(&images[i]);
}

static struct shmsem *to_cancel;

static void on_alarm(int number)
{
	(void)number;
	shmsem_cancel(to_cancel);
}

static void a_signal_handler_ends_a_wait(void **state)
{
	struct itimerspec soon = {.it_value.tv_nsec = 50000000};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct shmsem_error error;
	struct drawing drawing;
	timer_t timer;

	(void)state;
	make_server(&drawing, 1);
	to_cancel = connected();
	signal(SIGALRM, on_alarm);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
	assert_int_equal(shmsem_ping(to_cancel, &error), SHMSEM_TRY_AGAIN);
	assert_int_equal(error.os_error, ECANCELED);
	timer_delete(timer);
	signal(SIGALRM, SIG_DFL);
	shmsem_close(to_cancel);
	shmsem_server_close(drawing.server);
}

static void a_cancel_ends_the_next_call_and_only_that(void **state)
{
	struct shmsem *client = *state;
	struct shmsem_error error;

	shmsem_cancel(client);
	assert_int_equal(shmsem_ping(client, &error), SHMSEM_TRY_AGAIN);
	assert_int_equal(shmsem_ping(client, &error), SHMSEM_OK);
}

static void run_for_no_time_answers_what_is_there(void **state)
{
	struct drawing drawing;

	(void)state;
	make_server(&drawing, 1);
	assert_int_equal(shmsem_server_run(drawing.server, 0, NULL), SHMSEM_OK);
	assert_int_equal(shmsem_server_run(drawing.server, SECOND / 100, NULL), SHMSEM_OK);
	shmsem_server_close(drawing.server);
}

static void a_server_ends_before_it_grows_over_what_was_cut_off(void **state)
{
	struct drawing drawing;
	struct shmsem_error error;
	struct shmsem_image image, large;
	struct shmsem *client;
	char path[128];

	(void)state;
	start(&drawing, 1);
	client = connected();
	assert_int_equal(get(client, "fine", &image, &error), SHMSEM_OK);
	assert_int_equal(shmsem_check(&image, &error), SHMSEM_OK);
	snprintf(path, sizeof path, "/dev/shm/SEG_%s_DATA", space);
	assert_int_equal(truncate(path, 1), 0);
	assert_int_equal(get(client, "large", &large, &error), SHMSEM_UNAVAILABLE);
	assert_non_null(strstr(error.message, "truncated a shared object"));
	pthread_join(drawing.thread, NULL);
	assert_int_equal(drawing.status, SHMSEM_UNAVAILABLE);
	assert_int_equal(shmsem_check(&image, &error), SHMSEM_BAD_DATA);
	shmsem_release(&image);
	shmsem_close(client);
	shmsem_server_close(drawing.server);
}

static void a_queue_says_by_its_descriptor_that_there_is_something(void **state)
{
	struct shmsem_connect_options options = {.name_space = space};
	struct shmsem_result result;
	struct shmsem_queue *queue;
	struct drawing drawing;
	int tags[20], seen = 0, failed = 0;

	(void)state;
	start(&drawing, 4);
	assert_int_equal(shmsem_queue_open(&queue, &options, 3, NULL), SHMSEM_OK);
	assert_int_equal(shmsem_collect(queue, &result), SHMSEM_TRY_AGAIN);
	for (int i = 0; i < 20; i++) {
		struct shmsem_request request = {.name = i % 4 ? "fine" : "none"};

		tags[i] = 0;
		assert_int_equal(shmsem_submit(queue, &request, &tags[i], NULL), SHMSEM_OK);
	}
	while (seen < 20) {
		struct pollfd ready = {.fd = shmsem_fd(queue), .events = POLLIN};

		assert_int_equal(poll(&ready, 1, 20000), 1);
		assert_int_equal(shmsem_collect(queue, &result), SHMSEM_OK);
		++*(int *)result.tag;
		failed += result.status == SHMSEM_NOT_FOUND;
		if (!result.status)
			expect_filled(&result.image, 'f');
		shmsem_release(&result.image);
		seen++;
	}
	assert_int_equal(shmsem_collect(queue, &result), SHMSEM_TRY_AGAIN);
	assert_int_equal(poll(&(struct pollfd){.fd = shmsem_fd(queue), .events = POLLIN}, 1, 0), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(tags[i], 1);
	assert_int_equal(failed, 5);
	shmsem_queue_close(queue);
	stop(&drawing);
}

static void closing_a_queue_ends_what_is_under_way(void **state)
{
	struct shmsem_connect_options options = {.name_space = space};
	struct shmsem_queue *queue;
	struct drawing drawing;

	(void)state;
	make_server(&drawing, 4);
	assert_int_equal(shmsem_queue_open(&queue, &options, 2, NULL), SHMSEM_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(
			shmsem_submit(queue, &(struct shmsem_request){.name = "x"}, NULL, NULL),
			SHMSEM_OK);
	shmsem_queue_close(queue);
	shmsem_server_close(drawing.server);
}

static void closing_a_queue_does_not_wait_for_a_server_that_never_comes(void **state)
{
	struct shmsem_connect_options options = {.name_space = space, .wait_ns = 1000 * SECOND};
	struct shmsem_queue *queue;

	(void)state;
	assert_int_equal(shmsem_queue_open(&queue, &options, 2, NULL), SHMSEM_OK);
	assert_int_equal(
		shmsem_submit(queue, &(struct shmsem_request){.name = "x"}, NULL, NULL), SHMSEM_OK);
	shmsem_queue_close(queue);
}

/* Fetches, and hands every other image to another thread at the same place in the exchange. */
static _Atomic(struct shmsem_image *) parcels[4];

static void *fetch_and_pass_on(void *context)
{
	struct shmsem *client = connected();

	(void)context;
	for (int i = 0; i < ROUNDS; i++) {
		struct shmsem_image *image = malloc(sizeof *image);
		struct shmsem_error error;

		if (get(client, "shared", image, &error))
			fail_msg("%s", error.message);
		expect_filled(image, 's');
		image = atomic_exchange(&parcels[i % 4], image);
		if (image)
			shmsem_release(image);
		free(image);
	}
	shmsem_close(client);
	return NULL;
}

static void threads_with_a_client_each_disturb_nobody(void **state)
{
	pthread_t threads[THREADS];
	struct drawing drawing;

	(void)state;
	start(&drawing, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fetch_and_pass_on, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 4; i++) {
		struct shmsem_image *image = atomic_exchange(&parcels[i], NULL);

		shmsem_release(image);
		free(image);
	}
	stop(&drawing);
}

static void note(void *data, int event, const char *message)
{
	char *all = data;

	sprintf(all + strlen(all), "%d: %s;", event, message);
}

static void connections_made_and_lost_are_told(void **state)
{
	char said[1024] = "";
	struct shmsem_connect_options options = {
		.name_space = space, .log = note, .log_data = said};
	struct drawing drawing;
	struct shmsem *client;

	(void)state;
	start(&drawing, 1);
	assert_int_equal(shmsem_connect(&client, &options, NULL), SHMSEM_OK);
	stop(&drawing);
	assert_int_equal(shmsem_ping(client, NULL), SHMSEM_UNAVAILABLE);
	assert_non_null(strstr(said, "1: connected to the server of"));
	assert_non_null(strstr(said, "2: lost the server of"));
	start(&drawing, 1);
	assert_int_equal(shmsem_ping(client, NULL), SHMSEM_OK);
	shmsem_close(client);
	stop(&drawing);
}

static void a_forked_child_must_connect_anew(void **state)
{
	struct shmsem *client = *state;
	struct shmsem_image image;
	pid_t child;

	assert_int_equal(get(client, "before", &image, NULL), SHMSEM_OK);
	child = fork();
	if (child == 0) {
		struct shmsem_image own;
		struct shmsem_error error;
		struct shmsem *anew;
		int wrong = shmsem_ping(client, &error) != SHMSEM_USAGE;

		wrong |= ((const char *)image.pixels)[0] != 'b';
		shmsem_release(&image);
		shmsem_close(client);
		anew = connected();
		wrong |= get(anew, "child", &own, NULL) != SHMSEM_OK;
		_exit(wrong);
	}
	assert_int_equal(exit_of(child), 0);
	/* The child's release was not ours. */
	expect_filled(&image, 'b');
	assert_int_equal(shmsem_ping(client, NULL), SHMSEM_OK);
	shmsem_release(&image);
}

/* A child that lives on after its parent, which sat on the only seat, was killed. */
static void a_child_does_not_keep_the_seat_of_its_dead_parent(void **state)
{
	struct drawing drawing;
	struct shmsem *client;
	int alive[2], end[2];
	char byte;
	pid_t parent;

	(void)state;
	start(&drawing, 1);
	assert_int_equal(pipe(alive) | pipe(end), 0);
	parent = fork();
	if (parent == 0) {
		client = connected();
		if (fork() == 0) {
			close(end[1]);
			if (write(alive[1], "x", 1) != 1 || read(end[0], &byte, 1) < 0)
				_exit(1);
			_exit(0);
		}
		for (;;)
			pause();
	}
	assert_int_equal(read(alive[0], &byte, 1), 1);
	kill(parent, SIGKILL);
	assert_int_equal(exit_of(parent), -1);
	client = connected();
	assert_int_equal(shmsem_ping(client, NULL), SHMSEM_OK);
	shmsem_close(client);
	close(end[1]);
	close(end[0]);
	close(alive[0]);
	close(alive[1]);
	stop(&drawing);
}

static void two_servers_do_not_share_a_namespace(void **state)
{
	struct shmsem_serve_options options = {.name_space = space, .make = draw};
	struct shmsem_server *second;
	struct drawing drawing;

	(void)state;
	start(&drawing, 1);
	assert_int_equal(shmsem_serve(&second, &options, NULL), SHMSEM_TRY_AGAIN);
	stop(&drawing);
}

/* An old client with a new server has nothing but the number of its version in common with it. */
static void a_server_of_another_version_is_told(void **state)
{
	const struct shmsem_connect_options options = {.name_space = space};
	struct shmsem_error error;
	struct drawing drawing;
	struct shmsem *client;
	char path[128];
	uint32_t old = 1;
	int head;

	(void)state;
	start(&drawing, 1);
	snprintf(path, sizeof path, "/dev/shm/SEG_%s_HEAD", space);
	head = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(head, &old, sizeof old, 40), sizeof old);
	close(head);
	assert_int_equal(shmsem_connect(&client, &options, &error), SHMSEM_BAD_DATA);
	assert_non_null(strstr(error.message,
		"made by another version of shmsem: the server speaks 1, this client 2"));
	stop(&drawing);
}

/* Together they have all options, of which some exclude each other. */
static void every_option_gets_to_the_program(void **state)
{
	static const struct shmsem_request requests[] = {
		{.scale = 2, .channels = 3, .layout = SHMSEM_BGR, .fit_width = 4, .fit_height = 5},
		{.width = 6,
			.height = 7,
			.flags = SHMSEM_PREMULTIPLY | SHMSEM_DRAFT | SHMSEM_KEEP_CMYK,
			.resample = SHMSEM_LANCZOS},
		{.shorter = 8, .crop_x = 10, .crop_y = 11, .crop_width = 12, .crop_height = 13},
		{.longer = 9},
	};
	struct shmsem *client = *state;
	struct shmsem_image image;
	struct shmsem_error error;

	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		struct shmsem_request request = requests[i];

		request.name = "options";
		assert_int_equal(shmsem_fetch(client, &request, &image, &error), SHMSEM_OK);
		assert_memory_equal(&last_request.scale, &request.scale,
			offsetof(struct shmsem_request, reserved_bytes) -
				offsetof(struct shmsem_request, scale));
		shmsem_release(&image);
	}
}

int main(void)
{
#define SERVED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_segment_is_told_instead_of_a_death),
		cmocka_unit_test(an_image_that_a_callback_made_arrives_as_it_was_made),
		SERVED(what_a_callback_refuses_is_refused_in_its_words),
		SERVED(what_is_known_of_an_image_takes_no_room),
		SERVED(room_is_used_again_once_nobody_holds_it),
		SERVED(names_come_in_order_however_many),
		SERVED(many_are_fetched_each_with_its_own_outcome),
		cmocka_unit_test(a_signal_handler_ends_a_wait),
		SERVED(a_cancel_ends_the_next_call_and_only_that),
		cmocka_unit_test(run_for_no_time_answers_what_is_there),
		cmocka_unit_test(a_server_ends_before_it_grows_over_what_was_cut_off),
		cmocka_unit_test(a_queue_says_by_its_descriptor_that_there_is_something),
		cmocka_unit_test(closing_a_queue_ends_what_is_under_way),
		cmocka_unit_test(closing_a_queue_does_not_wait_for_a_server_that_never_comes),
		cmocka_unit_test(threads_with_a_client_each_disturb_nobody),
		cmocka_unit_test(connections_made_and_lost_are_told),
		SERVED(a_forked_child_must_connect_anew),
		cmocka_unit_test(a_child_does_not_keep_the_seat_of_its_dead_parent),
		cmocka_unit_test(two_servers_do_not_share_a_namespace),
		cmocka_unit_test(a_server_of_another_version_is_told),
		SERVED(every_option_gets_to_the_program),
	};

	alarm(600);
	snprintf(space, sizeof space, "test-library-%d", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
