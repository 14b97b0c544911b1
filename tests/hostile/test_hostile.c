/*
 * A server whose decoders turn hostile. This executable is both: the server starts it anew as its
 * decoder, and there image.c stands in for the codecs. Nothing of it is installed.
 */
#include "unit/test.h"

#include "base/clock.h"
#include "config.h"
#include "hostile.h"
#include "served/served.h"
#include "server/backing.h"
#include "server/internal.h"
#include "server/sandbox.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Where a decode is to time out, and where it is not to, however busy the machine. */
#define SHORT_NS   (NS_PER_SECOND)
#define TIMEOUT_NS (30 * NS_PER_SECOND)
#define LAST_CALL  470

/* As server_upkeep is called. */
#define UPKEEPS_A_SECOND 4

static struct served served;
static unsigned files; /* written so far: each order is a file of its own */

static void write_order(const char *name, const char *order)
{
	served_write(&served, name, order, strlen(order));
}

static int fetch(const char *name, struct shmsem_image *image, struct shmsem_error *error)
{
	return served_fetch(&served, name, image, error);
}

/* Has an order carried out; the status, with its sentence. */
static int carry_out(const char *order, struct shmsem_error *error)
{
	struct shmsem_image image = {0};
	char name[64];
	int status;

	snprintf(name, sizeof name, "order-%u.png", files++);
	write_order(name, order);
	status = fetch(name, &image, error);
	if (!status)
		shmsem_release(&image);
	return status;
}

static void assert_good(const struct shmsem_image *image)
{
	const uint8_t *pixels = image->pixels;

	assert_int_equal(image->info.bytes, SIDE * SIDE * 3);
	for (size_t i = 0; i < image->info.bytes; i++)
		if (pixels[i] != GOOD_BYTE)
			fail_msg("byte %zu is %#x", i, pixels[i]);
}

/* The server goes on, whatever was. */
static void assert_serving(void)
{
	struct shmsem_image image = {0};
	struct shmsem_error error;
	char name[64];

	snprintf(name, sizeof name, "good-%u.png", files++);
	write_order(name, "good");
	if (fetch(name, &image, &error))
		fail_msg("the server does not go on: %s", error.message);
	assert_good(&image);
	shmsem_release(&image);
}

/* Refused with a sentence that says `what`. */
static void assert_refused(const char *order, const char *what)
{
	struct shmsem_error error;
	uint64_t start = clock_now();
	int status = carry_out(order, &error);

	if (status != SHMSEM_BAD_DATA || !strstr(error.message, what))
		fail_msg("%s: status %d, '%s'", order, status, error.message);
	assert_true(clock_now() - start < TIMEOUT_NS);
}

static void every_system_call_but_the_allowed_is_refused_by_name(void **state)
{
	enum sandbox_profile profile = *state ? SANDBOX_ISOLATE : SANDBOX_POOL;

	for (int call = 0; call < LAST_CALL; call++) {
		char order[64], name[SANDBOX_CALL_NAME_SIZE], what[128];

		/* Those of the kernel's own probes do not come by the filter. */
		if (sandbox_allows(profile, call) || call == 335 || call == 336)
			continue;
		snprintf(order, sizeof order, "call %d", call);
		snprintf(what, sizeof what, "system call %s, which is refused",
			sandbox_call_name(call, name));
		assert_refused(order, what);
	}
	assert_refused("map exec", "system call mmap, which is refused");
	assert_serving();
}

static void crashes_are_told_by_their_signal(void **state)
{
	(void)state;
	assert_refused("crash SEGV", "SIGSEGV");
	assert_refused("then crash SEGV", "SIGSEGV");
	assert_refused("crash ILL", "SIGILL");
	assert_refused("crash stack", "SIGSEGV");
	assert_serving();
}

static void an_end_without_an_answer_is_told(void **state)
{
	struct shmsem_error error;
	int status = carry_out("crash exit", &error);

	(void)state;
	assert_true(status == SHMSEM_BAD_DATA || status == SHMSEM_TRY_AGAIN);
	assert_non_null(strstr(error.message, "decoder ended"));
	assert_serving();
}

static void a_spin_ends_at_the_deadline(void **state)
{
	(void)state;
	assert_refused("crash spin", "--decode-timeout");
	assert_refused("then crash spin", "--decode-timeout");
	assert_serving();
}

static void memory_is_limited(void **state)
{
	struct shmsem_error error;

	(void)state;
	if (SANITIZED) /* whose shadow is larger than any limit */
		return;
	/* It may eat until there is no more, and then go on as if nothing were. */
	if (carry_out("eat", &error))
		fail_msg("%s", error.message);
	assert_serving();
}

static void lies_are_refused(void **state)
{
	static const char *const lies[] = {"fewer-bytes", "more-bytes", "no-width", "wrapping",
		"channels", "bits", "profile", "pixels", "side"};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		char order[64];

		snprintf(order, sizeof order, "lie %s", lies[i]);
		assert_refused(order, "answered out of turn");
		assert_serving();
	}
}

/* Whatever is said on the socket: an error, and the next image is right. */
static void answers_out_of_turn_are_refused(void **state)
{
	static const char *const answers[] = {"nothing", "garbage", "short", "empty", "kind",
		"status", "need", "number", "text", "died", "unfit", "done"};

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		for (int then = 0; then < 2; then++) {
			struct shmsem_error error;
			char order[64];
			int status;

			snprintf(order, sizeof order, "%sanswer %s", then ? "then " : "",
				answers[i]);
			status = carry_out(order, &error);
			if (!status || strchr(error.message, '\n'))
				fail_msg("%s: status %d, '%s'", order, status, error.message);
			assert_serving();
		}
}

static void two_decoders_are_enough_for_a_file(void **state)
{
	struct shmsem_image image;
	struct shmsem_error error;

	(void)state;
	write_order("killer.png", "crash SEGV");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fetch("killer.png", &image, &error), SHMSEM_BAD_DATA);
		assert_non_null(strstr(error.message, "SIGSEGV"));
	}
	assert_non_null(strstr(error.message, "killed two decoders"));
	assert_int_equal(fetch("killer.png", &image, &error), SHMSEM_BAD_DATA);
	assert_non_null(strstr(error.message, "killed two decoders"));
	/* Another file of that name is another file. */
	write_order("killer.png", "good, and of another size");
	if (fetch("killer.png", &image, &error))
		fail_msg("%s", error.message);
	shmsem_release(&image);
}

/* With a process for each image there is nobody left who could. */
static void nobody_writes_after_the_answer(void **state)
{
	struct shmsem_image image = {0};
	struct shmsem_error error;

	(void)state;
	write_order("held.png", "good");
	assert_int_equal(fetch("held.png", &image, &error), SHMSEM_OK);
	for (int i = 0; i < 3; i++)
		carry_out("late", &error);
	carry_out("then outside", &error);
	assert_good(&image);
	shmsem_release(&image);
}

/* 0: there is none at this moment. */
static pid_t decoder_pid(void)
{
	struct server *server = served.server;
	pid_t pid;

	store_lock(&server->store);
	pid = server->decoders[0].pid;
	store_unlock(&server->store);
	return pid;
}

static void upkeep(unsigned turns)
{
	for (; turns; turns--) {
		bool done;

		assert_int_equal(server_upkeep(served.server, &done, NULL), 0);
		usleep(20000);
	}
}

/* The decoder has ended, or is about to; the server goes on with another. */
static void assert_replaced(pid_t before)
{
	for (int i = 0; i < 1000 && decoder_pid() == before; i++)
		usleep(10000);
	assert_int_not_equal(decoder_pid(), before);
	for (int i = 0; i < 1000 && !decoder_pid(); i++)
		upkeep(1);
	assert_serving();
}

/* On a busy machine a process that spins may wait for the processor. */
static void let_it_spin(pid_t pid)
{
	struct timespec used, before = {0};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &before) != 0)
		return; /* it has ended */
	do
		usleep(1000);
	while (clock_gettime(clock, &used) == 0 &&
		(used.tv_sec - before.tv_sec) * 1000000000L + used.tv_nsec - before.tv_nsec <
			5000000L);
}

/* Has the decoder answer and be idle in that way: ended within a second of upkeep. */
static void assert_idler_ended(const char *how)
{
	struct shmsem_error error;
	pid_t before = decoder_pid();
	char order[64];

	snprintf(order, sizeof order, "then idle %llu %s",
		(unsigned long long)served.server->store.next_number, how);
	assert_int_equal(carry_out(order, &error), SHMSEM_OK);
	for (unsigned turn = 0; turn < UPKEEPS_A_SECOND && decoder_pid() == before; turn++) {
		upkeep(1);
		if (!strcmp(how, "spin"))
			let_it_spin(before);
	}
	assert_replaced(before);
}

static void who_spins_idle_is_ended(void **state)
{
	(void)state;
	assert_idler_ended("spin");
}

static void who_keeps_memory_idle_is_ended(void **state)
{
	(void)state;
	if (!SANITIZED) /* whose own memory nobody can tell from it */
		assert_idler_ended("hoard");
}

/* Gives the segment a hole, behind what is in it. */
static void make_hole(void)
{
	struct store *store = &served.server->store;
	struct extent *extent;

	store_lock(store);
	assert_int_equal(store_make_room(store, 0, 2 * FILLED, false, &extent, NULL), 0);
	assert_true(backing_give_hole(store, 0, extent));
	store_unlock(store);
}

static void who_fills_holes_idle_is_ended(void **state)
{
	(void)state;
	make_hole();
	assert_idler_ended("fill");
}

/* Without any upkeep. */
static void who_fills_holes_while_it_decodes_is_ended(void **state)
{
	struct shmsem_error error;
	pid_t before;

	(void)state;
	make_hole();
	before = decoder_pid();
	assert_int_equal(carry_out("then fill", &error), SHMSEM_OK);
	assert_replaced(before);
}

static uint64_t private_memory(pid_t pid)
{
	unsigned long long resident, shared;
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %llu %llu", &resident, &shared), 2);
	fclose(file);
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* It gives back what a large image took. */
static void who_does_as_it_should_is_not_ended(void **state)
{
	struct shmsem_error error;
	pid_t before = decoder_pid();

	(void)state;
	assert_int_equal(carry_out("then take", &error), SHMSEM_OK);
	if (!SANITIZED)
		assert_true(private_memory(before) < TAKEN / 2);
	upkeep(4 * UPKEEPS_A_SECOND);
	assert_int_equal(decoder_pid(), before);
}

static void start(bool isolate, uint64_t timeout)
{
	struct server_options options = served_options();

	options.file_bytes = 1 << 20;
	options.limits.memory = 32 << 20;
	options.decode_timeout_ns = timeout;
	options.isolate = isolate;
	served_start(&served, &options);
	assert_serving();
}

static int set_up_pool(void **state)
{
	*state = NULL;
	start(false, TIMEOUT_NS);
	return 0;
}

static int set_up_isolate(void **state)
{
	*state = &served;
	start(true, TIMEOUT_NS);
	return 0;
}

static int set_up_pool_short(void **state)
{
	*state = NULL;
	start(false, SHORT_NS);
	return 0;
}

static int set_up_isolate_short(void **state)
{
	*state = &served;
	start(true, SHORT_NS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return served_stop(&served) ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest both[] = {
		cmocka_unit_test(every_system_call_but_the_allowed_is_refused_by_name),
		cmocka_unit_test(crashes_are_told_by_their_signal),
		cmocka_unit_test(an_end_without_an_answer_is_told),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(lies_are_refused),
		cmocka_unit_test(answers_out_of_turn_are_refused),
		cmocka_unit_test(two_decoders_are_enough_for_a_file),
	};
	const struct CMUnitTest timed[] = {
		cmocka_unit_test(a_spin_ends_at_the_deadline),
	};
	const struct CMUnitTest idle[] = {
		cmocka_unit_test(who_does_as_it_should_is_not_ended),
		cmocka_unit_test(who_spins_idle_is_ended),
		cmocka_unit_test(who_keeps_memory_idle_is_ended),
		cmocka_unit_test(who_fills_holes_idle_is_ended),
		cmocka_unit_test(who_fills_holes_while_it_decodes_is_ended),
	};
	const struct CMUnitTest isolated[] = {
		cmocka_unit_test(nobody_writes_after_the_answer),
	};

	served_main(argc, argv);
	return cmocka_run_group_tests_name("pool", both, set_up_pool, tear_down) +
	       cmocka_run_group_tests_name("idle", idle, set_up_pool, tear_down) +
	       cmocka_run_group_tests_name("isolate", both, set_up_isolate, tear_down) +
	       cmocka_run_group_tests_name("isolate only", isolated, set_up_isolate, tear_down) +
	       cmocka_run_group_tests_name("timed", timed, set_up_pool_short, tear_down) +
	       cmocka_run_group_tests_name(
		       "timed, isolate", timed, set_up_isolate_short, tear_down);
}
