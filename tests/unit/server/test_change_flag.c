/* What comes before a moment is seen at that moment, without a system call. */
#include "test.h"

#include "dynload/liburing.h"
#include "server/change_flag.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS  20000
#define SKIPPED 77 /* what meson test takes for it */

static int ends[2];

static void fill(void)
{
	assert_int_equal(write(ends[1], "x", 1), 1);
}

static void empty(void)
{
	char byte;

	assert_int_equal(read(ends[0], &byte, 1), 1);
}

static int (*real_submit)(struct io_uring *ring);
static unsigned failures; /* that are still to come */
static int failure = -EAGAIN;

/* Without memory for a request the kernel leaves it where it is. */
static int submit(struct io_uring *ring)
{
	if (!failures)
		return real_submit(ring);
	failures--;
	return failure;
}

static void what_is_not_allowed_is_not_asked_for_again(void **state)
{
	struct change_flag *flag = *state;

	failure = -EPERM;
	failures = 2;
	change_flag_arm(flag);
	change_flag_arm(flag);
	failure = -EAGAIN;
	assert_int_equal(failures, 1);
	failures = 0;
	assert_false(change_flag_clear(flag));
}

static void what_could_not_be_armed_can_be_later(void **state)
{
	struct change_flag *flag = *state;

	for (int round = 0; round < 2; round++) {
		failures = 5;
		for (int attempt = 0; attempt < 5; attempt++) {
			change_flag_arm(flag);
			assert_false(change_flag_clear(flag));
		}
		assert_int_equal(failures, 0);
		change_flag_arm(flag);
		assert_true(change_flag_clear(flag));
		fill();
		assert_false(change_flag_clear(flag));
		empty();
	}
	change_flag_arm(flag);
	assert_true(change_flag_clear(flag));
}

static int set_up(void **state)
{
	assert_int_equal(pipe(ends), 0);
	*state = change_flag_new(ends[0], POLLIN, NULL);
	assert_non_null(*state);
	return 0;
}

static uint8_t *shared; /* a page with the ring */

static int set_up_shared(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
		-1, 0);
	assert_true(shared != MAP_FAILED);
	assert_int_equal(pipe(ends), 0);
	*state = change_flag_new(ends[0], POLLIN, shared);
	assert_non_null(*state);
	return 0;
}

static int tear_down(void **state)
{
	change_flag_free(*state);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void nothing_is_clear_before_it_is_armed_nor_once_something_came(void **state)
{
	struct change_flag *flag = *state;

	assert_false(change_flag_clear(flag));
	change_flag_arm(flag);
	assert_true(change_flag_clear(flag));
	change_flag_arm(flag);
	assert_true(change_flag_clear(flag));
	fill();
	assert_false(change_flag_clear(flag));
	empty();
	assert_false(change_flag_clear(flag));
	change_flag_arm(flag);
	assert_true(change_flag_clear(flag));
	fill();
	/* What is there already counts, too. */
	change_flag_arm(flag);
	assert_false(change_flag_clear(flag));
	empty();
	change_flag_arm(flag);
	assert_true(change_flag_clear(flag));
}

/* Writes, then says so in shared memory, ROUNDS times; never before the last was taken note of. */
static void write_and_tell(_Atomic long *told, const _Atomic long *noted)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (long round = 1; round <= ROUNDS; round++) {
		while (atomic_load(noted) != round - 1)
			sched_yield();
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		atomic_store_explicit(told, round, memory_order_release);
	}
	_exit(0);
}

static void what_another_process_did_before_it_told_us_is_always_seen(void **state)
{
	struct change_flag *flag = *state;
	_Atomic long *words;
	pid_t child;
	int status;

	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(words != MAP_FAILED);
	change_flag_arm(flag);
	alarm(600);
	child = fork();
	if (child == 0)
		write_and_tell(&words[0], &words[1]);
	assert_true(child > 0);
	for (long round = 1; round <= ROUNDS; round++) {
		while (atomic_load_explicit(&words[0], memory_order_acquire) != round)
			sched_yield();
		assert_false(change_flag_clear(flag));
		empty();
		change_flag_arm(flag);
		assert_true(change_flag_clear(flag));
		atomic_store(&words[1], round);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	alarm(0);
	munmap(words, 4096);
}

struct sleeper {
	struct change_flag *flag;
	int bed; /* it sleeps until this can be read */
	_Atomic pid_t thread;
};

static void *arm_and_sleep(void *context)
{
	struct sleeper *sleeper = context;
	char byte;

	change_flag_arm(sleeper->flag);
	atomic_store(&sleeper->thread, gettid());
	assert_int_equal(read(sleeper->bed, &byte, 1), 1);
	return NULL;
}

/* Waits until the thread is asleep; how often it has gone to sleep so far. */
static long times_asleep(pid_t thread)
{
	char path[64], line[128], kind = 0;
	long times = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)thread);
	while (kind != 'S') {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		while (fgets(line, sizeof line, file)) {
			sscanf(line, "State: %c", &kind);
			sscanf(line, "voluntary_ctxt_switches: %ld", &times);
		}
		fclose(file);
	}
	return times;
}

static void a_thread_that_sleeps_meanwhile_is_not_woken(void **state)
{
	struct sleeper sleeper = {.flag = *state};
	pthread_t thread;
	int bed[2];
	long times;

	assert_int_equal(pipe(bed), 0);
	sleeper.bed = bed[0];
	alarm(600);
	assert_int_equal(pthread_create(&thread, NULL, arm_and_sleep, &sleeper), 0);
	while (!atomic_load(&sleeper.thread))
		sched_yield();
	times = times_asleep(sleeper.thread);
	fill();
	assert_int_equal(times_asleep(sleeper.thread), times);
	assert_int_equal(write(bed[1], "x", 1), 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	alarm(0);
	assert_false(change_flag_clear(sleeper.flag));
	close(bed[0]);
	close(bed[1]);
}

/* As a process sees it that only maps the page. */
static bool shared_clear(const struct wire_ring *ring)
{
	return !(*(volatile uint32_t *)(void *)(shared + ring->flags) & WIRE_RING_NOTED) &&
	       *(volatile uint32_t *)(void *)(shared + ring->head) ==
		       *(volatile uint32_t *)(void *)(shared + ring->tail);
}

static void others_see_the_same_in_the_page(void **state)
{
	struct change_flag *flag = *state;
	struct wire_ring ring = change_flag_ring(flag, shared);

	for (int round = 0; round < 1000; round++) {
		assert_true(change_flag_arm(flag));
		assert_true(shared_clear(&ring));
		fill();
		assert_false(shared_clear(&ring));
		empty();
		assert_false(shared_clear(&ring));
	}
}

static void a_descriptor_that_is_none_has_no_flag(void **state)
{
	(void)state;
	assert_null(change_flag_new(-1, POLLIN, NULL));
	assert_null(change_flag_free(NULL));
}

#define TEST(name, with) cmocka_unit_test_setup_teardown(name, with, tear_down)

/* With an argument, those whose ring others can see, which needs Linux 6.5. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_clear_before_it_is_armed_nor_once_something_came, set_up),
		TEST(what_another_process_did_before_it_told_us_is_always_seen, set_up),
		TEST(a_thread_that_sleeps_meanwhile_is_not_woken, set_up),
		TEST(what_is_not_allowed_is_not_asked_for_again, set_up),
		TEST(what_could_not_be_armed_can_be_later, set_up),
		cmocka_unit_test(a_descriptor_that_is_none_has_no_flag),
	};
	const struct CMUnitTest shared_tests[] = {
		TEST(others_see_the_same_in_the_page, set_up_shared),
		TEST(what_another_process_did_before_it_told_us_is_always_seen, set_up_shared),
	};
	int missing = argc > 1 ? change_flag_share_missing() : change_flag_missing();

	(void)argv;
	if (missing) {
		fprintf(stderr, "skipped: the kernel lets us have no such io_uring: %s\n",
			strerrordesc_np(missing));
		return SKIPPED;
	}
	assert_int_equal(change_flag_prepare(NULL), STATUS_OK);
	real_submit = io_uring_submit;
	io_uring_submit = submit;
	return argc > 1 ? cmocka_run_group_tests(shared_tests, NULL, NULL)
			: cmocka_run_group_tests(tests, NULL, NULL);
}
