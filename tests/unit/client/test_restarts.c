/* What a call does when the server is restarted, gone or stopped. */
#include "scene.h"
#include "test.h"

#include "base/cleanup.h"
#include "exchange/head_report.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
	AUTO_CLOSE int fd = scene_head(scene, O_RDONLY);
	struct head_report report;
	struct head_report_seat row;

	assert_true(fd >= 0);
	assert_int_equal(head_report_read(fd, &report), 0);
	assert_int_equal(head_report_read_seat(fd, &report, seat, &row), 0);
	return row.requests;
}

/* A client in a process of its own, which can be stopped, asks for image a. */
static pid_t ask_in_a_child(const struct scene *scene)
{
	struct shmsem_image image;
	struct shmsem_error error;
	struct shmsem *client;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	client = connect_to(scene);
	if (shmsem_fetch(client, &(struct shmsem_request){.name = "a"}, &image, &error)) {
		fprintf(stderr, "%s\n", error.message);
		_exit(1);
	}
	if (!right_pixels(&image, 1))
		_exit(2);
	shmsem_release(&image);
	shmsem_close(client);
	_exit(0);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_call_after_a_restart_works_at_the_new_server),
		TEST(a_call_during_a_restart_works_at_the_new_server),
		TEST(a_call_waits_for_the_next_server_as_long_as_for_the_first),
		TEST(without_a_server_the_error_says_how_to_start_one),
		TEST(a_stopped_server_ends_the_wait_at_the_deadline_and_counts_as_alive),
	};

	return cmocka_run_group_tests_name("restarts", tests, NULL, NULL);
}
