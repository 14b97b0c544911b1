/*
 * What shmsem.h says of every function: which arguments may be NULL, that fields and flags which it
 * does not know are refused, that `error` is filled on every return, and outputs on success only.
 */
#include "shmsem.h"
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char space[64];
static struct shmsem_server *server;
static struct shmsem *client;
static struct shmsem_queue *queue;
static struct shmsem_image held;
static pthread_t thread;

/* ---- a server, a client, a queue ---- */

static const struct shmsem_info small = {.width = 2, .height = 2, .channels = 1};
static const struct shmsem_info later = {.width = 2, .height = 2, .channels = 1, .reserved = 1};

static int make(void *data, const struct shmsem_request *request, struct shmsem_answer *answer,
	struct shmsem_error *error)
{
	const char *name = request->name;
	void *pixels = NULL, *icc;
	int status;

	(void)data;
	if (!strcmp(name, "fails"))
		return shmsem_fail(error, SHMSEM_NOT_FOUND, "no '%s'", name);
	if (!strcmp(name, "names"))
		return shmsem_add_name(answer, "a", error);
	status = shmsem_place(answer, !strcmp(name, "later") ? &later : &small, &pixels,
		!strcmp(name, "plain") ? NULL : &icc, error);
	if (pixels)
		memset(pixels, 'x', 4);
	return status;
}

/* Adds what it may add only; the first wrong status is what the listing fails with. */
static int list(void *data, struct shmsem_answer *answer, struct shmsem_error *error)
{
	char long_name[1026];

	(void)data;
	memset(long_name, 'x', 1025);
	long_name[1025] = '\0';
	if (shmsem_add_name(answer, NULL, NULL) != SHMSEM_USAGE ||
		shmsem_add_name(answer, "", NULL) != SHMSEM_USAGE ||
		shmsem_add_name(answer, long_name, NULL) != SHMSEM_USAGE)
		return shmsem_fail(error, SHMSEM_INTERNAL, "a name that is none was taken");
	return shmsem_add_name(answer, long_name + 1, error);
}

static void *run(void *context)
{
	(void)context;
	shmsem_server_run(server, UINT64_MAX, NULL);
	return NULL;
}

static int set_up(void **state)
{
	const struct shmsem_serve_options options = {.name_space = space,
		.memory = 1 << 20,
		.seats = 3,
		.make = make,
		.names = list,
		.kept = 1};
	const struct shmsem_connect_options connection = {.name_space = space};

	(void)state;
	return shmsem_serve(&server, &options, NULL) || pthread_create(&thread, NULL, run, NULL) ||
	       shmsem_connect(&client, &connection, NULL) ||
	       shmsem_queue_open(&queue, &connection, 1, NULL) ||
	       shmsem_fetch(client, &(struct shmsem_request){.name = "held"}, &held, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	shmsem_release(&held);
	shmsem_queue_close(queue);
	shmsem_close(client);
	shmsem_server_stop(server);
	pthread_join(thread, NULL);
	shmsem_server_close(server);
	return 0;
}

/* ---- each call, and what it is to say ---- */

/* Where a call writes what only success gives. */
static union {
	unsigned char bytes[1024];
	struct shmsem *client;
	struct shmsem_queue *queue;
	struct shmsem_server *server;
	struct shmsem_image image;
	struct shmsem_info info;
	void *pixels;
	struct shmsem_connect_options options;
} output;

static int connect_with(struct shmsem_connect_options options, struct shmsem_error *error)
{
	if (!options.name_space)
		options.name_space = space;
	return shmsem_connect(&output.client, &options, error);
}

static int serve_with(struct shmsem_serve_options options, struct shmsem_error *error)
{
	options.name_space = "interface-none";
	return shmsem_serve(&output.server, &options, error);
}

static int fetch_with(struct shmsem_request request, struct shmsem_error *error)
{
	return shmsem_fetch(client, &request, &output.image, error);
}

static int check_length(size_t length, struct shmsem_error *error)
{
	char name[1026] = "";

	memset(name, 'x', length);
	return shmsem_check_request(&(struct shmsem_request){.name = name}, error);
}

#define CALL(name, expression)                      \
	static int name(struct shmsem_error *error) \
	{                                           \
		return expression;                  \
	}

#define OPTIONS(...) ((struct shmsem_connect_options){__VA_ARGS__})
#define SERVE(...)   ((struct shmsem_serve_options){__VA_ARGS__})
#define ASK(...)     ((struct shmsem_request){__VA_ARGS__})

CALL(connect_flag, connect_with(OPTIONS(.flags = 1U << 3), error))
CALL(connect_high_flag, connect_with(OPTIONS(.flags = 1U << 31), error))
CALL(connect_reserved, connect_with(OPTIONS(.reserved = {1}), error))
CALL(connect_user, connect_with(OPTIONS(.server_user = 1), error))
CALL(connect_no_user,
	connect_with(OPTIONS(.flags = SHMSEM_SERVER_USER, .server_user = UINT32_MAX), error))
CALL(connect_both, connect_with(OPTIONS(.flags = SHMSEM_SERVER_USER | SHMSEM_ANY_SERVER), error))
CALL(connect_space, connect_with(OPTIONS(.name_space = "a b"), error))
CALL(connect_none, connect_with(OPTIONS(.name_space = "interface-none"), error))
CALL(user_none, shmsem_server_user(&output.options, "no such user", error))
CALL(user_empty, shmsem_server_user(&output.options, "", error))
CALL(fetch_no_name, fetch_with(ASK(.name = NULL), error))
CALL(fetch_empty, fetch_with(ASK(.name = ""), error))
CALL(fetch_scale, fetch_with(ASK(.name = "a", .scale = 3), error))
CALL(fetch_channels, fetch_with(ASK(.name = "a", .channels = 2), error))
CALL(fetch_layout, fetch_with(ASK(.name = "a", .layout = 2), error))
CALL(fetch_resample, fetch_with(ASK(.name = "a", .resample = 4), error))
CALL(fetch_sides, fetch_with(ASK(.name = "a", .width = 5, .shorter = 5), error))
CALL(fetch_crop, fetch_with(ASK(.name = "a", .crop_width = 5), error))
CALL(check_nothing, shmsem_check_request(&ASK(.name = ""), error))
CALL(check_long, check_length(1025, error))
CALL(check_scale, shmsem_check_request(&ASK(.name = "a", .scale = 2, .width = 5), error))
CALL(check_draft, shmsem_check_request(&ASK(.name = "a", .flags = SHMSEM_DRAFT), error))
CALL(check_strict,
	shmsem_check_request(&ASK(.name = "a", .flags = SHMSEM_STRICT | SHMSEM_LENIENT), error))
CALL(check_centred, shmsem_check_request(&ASK(.name = "a", .flags = SHMSEM_CROP_CENTRED,
						 .crop_x = 1, .crop_width = 2, .crop_height = 2),
			    error))
CALL(fetch_bytes, fetch_with(ASK(.name = "a", .reserved_bytes = {0, 0, 1}), error))
CALL(fetch_reserved, fetch_with(ASK(.name = "a", .reserved = {0, 0, 0, 1}), error))
CALL(fetch_fails, fetch_with(ASK(.name = "fails"), error))
CALL(fetch_place_reserved, fetch_with(ASK(.name = "later"), error))
CALL(fetch_adds_name, fetch_with(ASK(.name = "names"), error))
CALL(info_no_name, shmsem_info(client, &ASK(.name = NULL), &output.info, error))
CALL(info_reserved, shmsem_info(client, &ASK(.name = "a", .reserved = {1}), &output.info, error))
CALL(info_place_reserved, shmsem_info(client, &ASK(.name = "later"), &output.info, error))
CALL(queue_threads, shmsem_queue_open(&output.queue, NULL, 0, error))
CALL(queue_many, shmsem_queue_open(&output.queue, NULL, 65, error))
CALL(queue_flag, shmsem_queue_open(&output.queue, &OPTIONS(.flags = 1U << 3), 1, error))
CALL(queue_reserved, shmsem_queue_open(&output.queue, &OPTIONS(.reserved = {1}), 1, error))
CALL(queue_space, shmsem_queue_open(&output.queue, &OPTIONS(.name_space = ""), 1, error))
CALL(serve_no_make, serve_with(SERVE(.seats = 1), error))
CALL(serve_flag, serve_with(SERVE(.make = make, .flags = SHMSEM_ANY_SERVER), error))
CALL(serve_reserved2, serve_with(SERVE(.make = make, .reserved2 = 1), error))
CALL(serve_reserved, serve_with(SERVE(.make = make, .reserved = {0, 0, 1}), error))
CALL(serve_seats, serve_with(SERVE(.make = make, .seats = UINT32_MAX), error))
CALL(serve_mode, serve_with(SERVE(.make = make, .mode = 0400), error))
CALL(serve_mode_bits, serve_with(SERVE(.make = make, .mode = 01600), error))
CALL(serve_kept, serve_with(SERVE(.make = make, .kept = UINT32_MAX), error))
CALL(serve_taken, shmsem_serve(&output.server, &SERVE(.name_space = space, .make = make), error))
CALL(prepare_reserved, shmsem_prepare(server, &later, &output.pixels, NULL, error))
CALL(publish_nothing, shmsem_publish(server, "a", error))
CALL(publish_no_name, shmsem_publish(server, NULL, error))
CALL(publish_empty, shmsem_publish(server, "", error))
CALL(fail_with, shmsem_fail(error, SHMSEM_IO, "%s", "so"))

static const struct {
	const char *what;
	int (*call)(struct shmsem_error *error);
	int status;
} wrong[] = {
	{"shmsem_connect: an unknown flag", connect_flag, SHMSEM_USAGE},
	{"shmsem_connect: the highest flag", connect_high_flag, SHMSEM_USAGE},
	{"shmsem_connect: reserved", connect_reserved, SHMSEM_USAGE},
	{"shmsem_connect: server_user without its flag", connect_user, SHMSEM_USAGE},
	{"shmsem_connect: server_user that is no uid", connect_no_user, SHMSEM_USAGE},
	{"shmsem_connect: flags that exclude each other", connect_both, SHMSEM_USAGE},
	{"shmsem_connect: a namespace that is none", connect_space, SHMSEM_USAGE},
	{"shmsem_connect: no server", connect_none, SHMSEM_UNAVAILABLE},
	{"shmsem_server_user: nobody", user_none, SHMSEM_USAGE},
	{"shmsem_server_user: empty", user_empty, SHMSEM_USAGE},
	{"shmsem_fetch: no name", fetch_no_name, SHMSEM_USAGE},
	{"shmsem_fetch: an empty name", fetch_empty, SHMSEM_USAGE},
	{"shmsem_fetch: scale", fetch_scale, SHMSEM_USAGE},
	{"shmsem_fetch: channels", fetch_channels, SHMSEM_USAGE},
	{"shmsem_fetch: layout", fetch_layout, SHMSEM_USAGE},
	{"shmsem_fetch: resample", fetch_resample, SHMSEM_USAGE},
	{"shmsem_fetch: a size and a shorter side", fetch_sides, SHMSEM_USAGE},
	{"shmsem_fetch: a crop without a height", fetch_crop, SHMSEM_USAGE},
	{"shmsem_check_request: an empty name", check_nothing, SHMSEM_USAGE},
	{"shmsem_check_request: a name of 1025 bytes", check_long, SHMSEM_USAGE},
	{"shmsem_check_request: a scale and a size", check_scale, SHMSEM_USAGE},
	{"shmsem_check_request: a draft of the whole", check_draft, SHMSEM_USAGE},
	{"shmsem_check_request: strict and lenient", check_strict, SHMSEM_USAGE},
	{"shmsem_check_request: a centred crop with a place", check_centred, SHMSEM_USAGE},
	{"shmsem_fetch: reserved_bytes", fetch_bytes, SHMSEM_USAGE},
	{"shmsem_fetch: reserved", fetch_reserved, SHMSEM_USAGE},
	{"shmsem_fetch: refused by the program", fetch_fails, SHMSEM_NOT_FOUND},
	{"shmsem_place: reserved", fetch_place_reserved, SHMSEM_USAGE},
	{"shmsem_add_name: outside of 'names'", fetch_adds_name, SHMSEM_USAGE},
	{"shmsem_info: no name", info_no_name, SHMSEM_USAGE},
	{"shmsem_info: reserved", info_reserved, SHMSEM_USAGE},
	{"shmsem_place for shmsem_info: reserved", info_place_reserved, SHMSEM_USAGE},
	{"shmsem_queue_open: no threads", queue_threads, SHMSEM_USAGE},
	{"shmsem_queue_open: too many threads", queue_many, SHMSEM_USAGE},
	{"shmsem_queue_open: an unknown flag", queue_flag, SHMSEM_USAGE},
	{"shmsem_queue_open: reserved", queue_reserved, SHMSEM_USAGE},
	{"shmsem_queue_open: a namespace that is none", queue_space, SHMSEM_USAGE},
	{"shmsem_serve: neither 'make' nor kept names", serve_no_make, SHMSEM_USAGE},
	{"shmsem_serve: a flag of clients", serve_flag, SHMSEM_USAGE},
	{"shmsem_serve: reserved2", serve_reserved2, SHMSEM_USAGE},
	{"shmsem_serve: reserved", serve_reserved, SHMSEM_USAGE},
	{"shmsem_serve: seats", serve_seats, SHMSEM_USAGE},
	{"shmsem_serve: a mode that keeps its owner out", serve_mode, SHMSEM_USAGE},
	{"shmsem_serve: a mode of more than permissions", serve_mode_bits, SHMSEM_USAGE},
	{"shmsem_serve: kept", serve_kept, SHMSEM_USAGE},
	{"shmsem_serve: a server lives there", serve_taken, SHMSEM_TRY_AGAIN},
	{"shmsem_prepare: reserved", prepare_reserved, SHMSEM_USAGE},
	{"shmsem_publish: nothing prepared", publish_nothing, SHMSEM_USAGE},
	{"shmsem_publish: no name", publish_no_name, SHMSEM_USAGE},
	{"shmsem_publish: an empty name", publish_empty, SHMSEM_USAGE},
	{"shmsem_fail", fail_with, SHMSEM_IO},
};

static struct shmsem_error garbage(void)
{
	struct shmsem_error error;

	memset(&error, 'g', sizeof error);
	return error;
}

static void wrong_calls_say_so_and_give_nothing(void **state)
{
	unsigned char before[sizeof output];

	(void)state;
	memset(before, 'o', sizeof before);
	for (size_t i = 0; i < COUNT(wrong); i++)
		for (int with = 0; with < 2; with++) {
			struct shmsem_error error = garbage();
			int status;

			memset(&output, 'o', sizeof output);
			status = wrong[i].call(with ? &error : NULL);
			if (status != wrong[i].status)
				fail_msg("%s: status %d", wrong[i].what, status);
			if (memcmp(&output, before, sizeof before) != 0)
				fail_msg("%s: an output was written", wrong[i].what);
			if (with && (error.status != status || !error.message[0] ||
					    !memchr(error.message, '\0', sizeof error.message) ||
					    error.os_error == garbage().os_error))
				fail_msg("%s: its error is not filled", wrong[i].what);
		}
}

/* ---- success ---- */

static void expect_success(const char *what, int status, struct shmsem_error *error)
{
	if (status || error->status || error->os_error || error->message[0])
		fail_msg("%s: status %d, and %d, errno %d, '%.40s'", what, status, error->status,
			error->os_error, error->message);
	*error = garbage();
}

static int nothing(void *data, const char *name)
{
	(void)data;
	(void)name;
	return 0;
}

static void success_is_said_too(void **state)
{
	const struct shmsem_connect_options options = {.name_space = space};
	const struct shmsem_request request = {.name = "plain"};
	struct shmsem_connect_options other = {0};
	struct shmsem_image image, images[2];
	struct shmsem_error error = garbage();
	struct shmsem_queue *more;
	struct shmsem *second;
	struct shmsem_info info;
	int statuses[1];
	void *pixels, *icc;

	(void)state;
	expect_success("server_user", shmsem_server_user(&other, "any", &error), &error);
	expect_success("connect", shmsem_connect(&second, &options, &error), &error);
	shmsem_close(second);
	expect_success("check_request", check_length(1024, &error), &error);
	expect_success("ping", shmsem_ping(client, &error), &error);
	expect_success("fetch", shmsem_fetch(client, &request, &image, &error), &error);
	expect_success("check", shmsem_check(&image, &error), &error);
	shmsem_release(&image);
	expect_success("check of nothing", shmsem_check(&image, &error), &error);
	expect_success("fetch_many",
		shmsem_fetch_many(client, &request, 1, images, statuses, &error), &error);
	shmsem_release(images);
	expect_success("fetch_many, no statuses",
		shmsem_fetch_many(client, &request, 1, images, NULL, &error), &error);
	shmsem_release(images);
	expect_success("fetch_many of none",
		shmsem_fetch_many(client, &request, 0, images, NULL, &error), &error);
	expect_success("info", shmsem_info(client, &request, &info, &error), &error);
	expect_success("names", shmsem_names(client, nothing, NULL, &error), &error);
	expect_success("queue_open", shmsem_queue_open(&more, &options, 1, &error), &error);
	shmsem_queue_close(more);
	expect_success("submit", shmsem_submit(queue, &request, NULL, &error), &error);
	expect_success("prepare", shmsem_prepare(server, &small, &pixels, &icc, &error), &error);
	expect_success("publish", shmsem_publish(server, "kept", &error), &error);
	expect_success("prepare, no profile", shmsem_prepare(server, &small, &pixels, NULL, &error),
		&error);
	expect_success("publish anew", shmsem_publish(server, "kept", &error), &error);
	expect_success("fail with nothing", shmsem_fail(&error, SHMSEM_OK, "%s", ""), &error);
}

static void null_is_ignored_where_that_is_said(void **state)
{
	struct shmsem_image none = {0};

	(void)state;
	shmsem_close(NULL);
	shmsem_release(NULL);
	shmsem_release(&none);
	shmsem_queue_close(NULL);
	shmsem_server_close(NULL);
	shmsem_withdraw(server, "no such name");
	/* Options that are not there are all zero: the namespace of the environment. */
	setenv("SHMSEM_NAMESPACE", space, 1);
	assert_int_equal(shmsem_connect(&output.client, NULL, NULL), SHMSEM_OK);
	assert_string_equal(shmsem_namespace(output.client), space);
	shmsem_close(output.client);
	assert_int_equal(shmsem_queue_open(&output.queue, NULL, 1, NULL), SHMSEM_OK);
	shmsem_queue_close(output.queue);
	unsetenv("SHMSEM_NAMESPACE");
}

/* What only the server, or the queue's thread, can find wrong is the status of the result. */
static void a_queue_gives_what_a_fetch_would_say(void **state)
{
	static const struct shmsem_request requests[] = {
		{.name = NULL}, {.name = "a", .reserved = {1}}, {.name = "fails"}};
	static const int statuses[] = {SHMSEM_USAGE, SHMSEM_USAGE, SHMSEM_NOT_FOUND};
	struct pollfd ready = {.fd = shmsem_fd(queue), .events = POLLIN};
	struct shmsem_result result;

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		assert_int_equal(shmsem_submit(queue, &requests[i], &result, NULL), SHMSEM_OK);
		assert_int_equal(poll(&ready, 1, -1), 1);
		assert_int_equal(shmsem_collect(queue, &result), SHMSEM_OK);
		assert_int_equal(result.status, statuses[i]);
		assert_int_equal(result.error.status, statuses[i]);
		assert_ptr_equal(result.tag, &result);
	}
	assert_int_equal(shmsem_collect(queue, &result), SHMSEM_TRY_AGAIN);
}

/* ---- in a child of fork() ---- */

CALL(child_ping, shmsem_ping(client, error))
CALL(child_fetch, fetch_with(ASK(.name = "a"), error))
CALL(child_many, shmsem_fetch_many(client, &ASK(.name = "a"), 1, &output.image, NULL, error))
CALL(child_check, shmsem_check(&held, error))
CALL(child_info, shmsem_info(client, &ASK(.name = "a"), &output.info, error))
CALL(child_names, shmsem_names(client, nothing, NULL, error))
CALL(child_submit, shmsem_submit(queue, &ASK(.name = "a"), NULL, error))
CALL(child_run, shmsem_server_run(server, 0, error))
CALL(child_prepare, shmsem_prepare(server, &small, &output.pixels, NULL, error))
CALL(child_publish, shmsem_publish(server, "child", error))

static void use_in_child(int report)
{
	static int (*const calls[])(struct shmsem_error *) = {child_ping, child_fetch, child_many,
		child_check, child_info, child_names, child_submit, child_run, child_prepare,
		child_publish};
	struct shmsem_result result;
	char *pixels = (char *)output.bytes;

	for (size_t i = 0; i < COUNT(calls); i++) {
		struct shmsem_error error = garbage();

		if (calls[i](&error) != SHMSEM_USAGE || error.status != SHMSEM_USAGE)
			dprintf(report, "call %zu is not refused; ", i);
	}
	if (shmsem_collect(queue, &result) != SHMSEM_TRY_AGAIN)
		dprintf(report, "something was collected; ");
	memcpy(pixels, held.pixels, 4);
	if (memcmp(pixels, "xxxx", 4) != 0)
		dprintf(report, "the pixels are gone; ");
	shmsem_withdraw(server, "kept");
	shmsem_cancel(client);
	shmsem_server_stop(server);
	shmsem_release(&held);
	shmsem_close(client);
	shmsem_queue_close(queue);
	shmsem_server_close(server);
	dprintf(report, "end");
	_exit(0);
}

static void handles_refuse_to_work_in_a_child(void **state)
{
	char said[512] = "";
	int pair[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t child;

	(void)state;
	assert_int_equal(shmsem_prepare(server, &small, &output.pixels, NULL, NULL), SHMSEM_OK);
	assert_int_equal(shmsem_publish(server, "kept", NULL), SHMSEM_OK);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	child = fork();
	if (child == 0)
		use_in_child(pair[1]);
	close(pair[1]);
	while ((got = read(pair[0], said + used, sizeof said - 1 - used)) > 0)
		used += (size_t)got;
	close(pair[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_string_equal(said, "end");
	assert_int_equal(status, 0);
	/* It has taken nothing from us. */
	assert_int_equal(shmsem_check(&held, NULL), SHMSEM_OK);
	assert_int_equal(shmsem_ping(client, NULL), SHMSEM_OK);
	assert_int_equal(
		shmsem_fetch(client, &ASK(.name = "kept"), &output.image, NULL), SHMSEM_OK);
	shmsem_release(&output.image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			wrong_calls_say_so_and_give_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(success_is_said_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			null_is_ignored_where_that_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_queue_gives_what_a_fetch_would_say, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			handles_refuse_to_work_in_a_child, set_up, tear_down),
	};

	snprintf(space, sizeof space, "interface-%d", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
