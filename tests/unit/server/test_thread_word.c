/* A word of shared memory says whether a thread lives, however it ends. */
#include "../../refuse_call.h"
#include "test.h"

#include "server/thread_word.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 500

static _Atomic uint32_t *word;

static int set_up(void **state)
{
	(void)state;
	word = mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(word != MAP_FAILED);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return munmap((void *)word, sizeof *word);
}

static uint32_t owner(void)
{
	return atomic_load(word) & FUTEX_TID_MASK;
}

static void it_works_here(void **state)
{
	(void)state;
	assert_true(thread_word_works());
}

static void *take_and_tell(void *context)
{
	struct thread_word **taken = context;

	*taken = thread_word_take(word);
	return owner() == (uint32_t)gettid() ? context : NULL;
}

static void a_thread_that_returns_is_told(void **state)
{
	struct thread_word *taken;
	pthread_t thread;
	void *lived;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, take_and_tell, &taken), 0);
	assert_int_equal(pthread_join(thread, &lived), 0);
	assert_non_null(taken);
	assert_non_null(lived);
	assert_int_equal(owner(), 0);
	thread_word_free(taken);
}

/* A word of before is not written to any more: it may be something else by then. */
static void *take_two_in_turn(void *context)
{
	_Atomic uint32_t *second = context;
	struct thread_word *taken = thread_word_leave(thread_word_take(word));
	bool left = !taken && !owner();

	atomic_store(word, (uint32_t)gettid());
	thread_word_take(second);
	return left && atomic_load(second) == (uint32_t)gettid() ? context : NULL;
}

static void a_thread_can_leave_a_word_and_take_another(void **state)
{
	_Atomic uint32_t *second = mmap(
		NULL, sizeof *second, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	void *lived;

	(void)state;
	assert_true(second != MAP_FAILED);
	assert_int_equal(pthread_create(&thread, NULL, take_two_in_turn, (void *)second), 0);
	assert_int_equal(pthread_join(thread, &lived), 0);
	assert_non_null(lived);
	assert_int_equal(atomic_load(second) & FUTEX_TID_MASK, 0);
	assert_int_not_equal(owner(), 0);
	assert_int_equal(munmap((void *)second, sizeof *second), 0);
}

static void *take_and_wait(void *context)
{
	thread_word_take(word);
	pause();
	return context;
}

/* The thread that has the word need not be the one that a parent waits for. */
static void live_until_killed(void)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pthread_create(&thread, NULL, take_and_wait, NULL))
		_exit(1);
	for (;;)
		pause();
}

static void the_death_of_a_process_is_told_before_it_can_be_waited_for(void **state)
{
	int status;

	(void)state;
	for (int round = 0; round < KILLS; round++) {
		pid_t child;

		atomic_store(word, 0);
		child = fork();
		if (child == 0)
			live_until_killed();
		assert_true(child > 0);
		while (!owner() && !waitpid(child, &status, WNOHANG))
			sched_yield();
		assert_true(owner());
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(owner(), 0);
	}
}

/* Children have no part in it: neither do they take it, nor does their end take it away. */
static void a_child_leaves_the_word_alone(void **state)
{
	struct thread_word *taken = thread_word_take(word);
	pid_t child;
	int status;

	(void)state;
	assert_non_null(taken);
	child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(owner(), gettid());
	/* This thread lives on, and its list must not lead to what is freed. */
	assert_int_equal(syscall(SYS_set_robust_list, NULL, sizeof(struct robust_list_head)), 0);
	thread_word_free(taken);
}

static void where_it_is_refused_the_word_stays_as_it_is(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		if (!refuse_call(SYS_set_robust_list))
			_exit(2);
		_exit(thread_word_take(word) || atomic_load(word) || thread_word_works());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_works_here),
		cmocka_unit_test_setup_teardown(a_thread_that_returns_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_death_of_a_process_is_told_before_it_can_be_waited_for, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_thread_can_leave_a_word_and_take_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_child_leaves_the_word_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			where_it_is_refused_the_word_stays_as_it_is, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
