/* Locks of open files. */
#include "test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "shm/lock.h"
#include "shm/shm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK 7

static const struct access mine = {.mode = 0600, .group = (gid_t)-1};

static int unnamed(void)
{
	int fd = shm_file_unnamed(&mine);

	assert_true(fd >= 0);
	return fd;
}

static int again(int fd)
{
	char self[32];
	int other;

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	other = open(self, O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	return other;
}

static void a_lock_excludes_other_open_files_and_not_its_own(void **state)
{
	AUTO_CLOSE int first = unnamed(), second = again(first);

	(void)state;
	assert_int_equal(lock_take(first, 5), 0);
	assert_int_equal(lock_take(first, 5), 0);
	assert_int_equal(lock_take(second, 5), EAGAIN);
	assert_int_equal(lock_take(second, 6), 0);
	assert_int_equal(lock_held(second, 5, 1), 1);
	assert_int_equal(lock_held(first, 5, 1), 0);
	assert_int_equal(lock_held(second, 0, 5), 0);
	assert_int_equal(lock_held(second, 0, 6), 1);
	assert_int_equal(lock_drop(first, 5), 0);
	assert_int_equal(lock_held(second, 5, 1), 0);
	assert_int_equal(lock_take(second, 5), 0);
}

static void a_read_lock_is_no_proof_of_life(void **state)
{
	AUTO_CLOSE int first = unnamed(), second = again(first);
	struct flock range = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1};

	(void)state;
	assert_int_equal(fcntl(first, F_OFD_SETLK, &range), 0);
	assert_int_equal(lock_held(second, 5, 1), 0);
}

static void a_lock_ends_with_its_process_and_survives_truncation(void **state)
{
	AUTO_CLOSE int first = unnamed();
	uint64_t deadline = deadline_after(10 * NS_PER_SECOND);
	int ready[2];
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		int fd = again(first);

		if (lock_take(fd, LOCK) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(ftruncate(first, 0), 0);
	assert_int_equal(lock_held(first, LOCK, 1), 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	while (lock_held(first, LOCK, 1) == 1)
		assert_true(clock_now() < deadline);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_excludes_other_open_files_and_not_its_own),
		cmocka_unit_test(a_read_lock_is_no_proof_of_life),
		cmocka_unit_test(a_lock_ends_with_its_process_and_survives_truncation),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
