/* Semaphores: counts, wake-ups, and files that are none. */
#include "test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "own.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void semaphores_count_and_waits_are_bounded(void **state)
{
	struct name_space space = space_named("count");
	char name[OBJECT_NAME_SIZE];
	uint64_t begin;
	struct file_id id;
	sem_t *semaphore;
	struct error err;

	(void)state;
	object_name(&space, OBJECT_REQUEST, 0, name);
	assert_int_equal(semaphore_create(name, &mine, &id, &err), 0);
	assert_int_equal(semaphore_create(name, &mine, &id, &err), STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, EEXIST);
	assert_int_equal(semaphore_open(name, &semaphore, &err), 0);
	assert_false(semaphore_try(semaphore));
	begin = clock_now();
	assert_false(semaphore_wait(semaphore, begin + 20 * NS_PER_MS));
	assert_true(clock_now() - begin >= 20 * NS_PER_MS);
	assert_false(semaphore_wait(semaphore, 0));
	for (int i = 0; i < 10; i++)
		semaphore_post(semaphore);
	assert_int_equal(semaphore_drain(semaphore, 4), 4);
	assert_int_equal(semaphore_drain(semaphore, 100), 6);
	assert_int_equal(sem_init(semaphore, 1, SEM_VALUE_MAX), 0);
	semaphore_post(semaphore);
	assert_true(semaphore_wait(semaphore, 0));
	semaphore_reset(semaphore);
	assert_false(semaphore_try(semaphore));
	semaphore_post(semaphore);
	assert_true(semaphore_try(semaphore));
	semaphore_close(semaphore);
	assert_int_equal(sem_unlink(name), 0);
}

/* Whether a child has gone to sleep. */
static bool asleep(pid_t child)
{
	char path[32], text[256] = "";
	AUTO_CLOSE int fd = -1;
	const char *name_end;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	name_end = strrchr(text, ')');
	return name_end && name_end[2] == 'S';
}

/* A child that sleeps on the new semaphore of a name space, guarded, and ends with what its wait
 * says. */
static pid_t sleeper(const char *space_name, char name[OBJECT_NAME_SIZE], sem_t **ret)
{
	struct name_space space = space_named(space_name);
	struct file_id id;
	pid_t child;

	object_name(&space, OBJECT_REQUEST, 0, name);
	assert_int_equal(semaphore_create(name, &mine, &id, NULL), 0);
	assert_int_equal(semaphore_open(name, ret, NULL), 0);
	child = fork();
	if (child == 0) {
		uintptr_t page = (uintptr_t)*ret & ~(uintptr_t)4095;

		if (guard_install(NULL) || guard_add((void *)page, 4096) < 0)
			_exit(2);
		_exit(semaphore_wait(*ret, clock_now() + 300 * NS_PER_SECOND));
	}
	assert_true(child > 0);
	alarm(600);
	while (!asleep(child))
		sched_yield();
	return child;
}

static void a_post_wakes_who_sleeps(void **state)
{
	char name[OBJECT_NAME_SIZE];
	sem_t *semaphore;
	pid_t child = sleeper("wake", name, &semaphore);
	int status;

	(void)state;
	assert_int_equal(sem_post(semaphore), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), true);
	assert_false(semaphore_try(semaphore));
	semaphore_close(semaphore);
	sem_unlink(name);
	alarm(0);
}

static void a_post_wakes_who_sleeps_even_on_a_value_that_cannot_grow(void **state)
{
	static const uint32_t values[] = {SEM_VALUE_MAX, SEM_VALUE_MAX + 1U, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char name[OBJECT_NAME_SIZE];
		sem_t *semaphore;
		pid_t child = sleeper("most", name, &semaphore);
		int status;

		memcpy(semaphore, &values[i], sizeof values[i]);
		semaphore_post(semaphore);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), true);
		assert_memory_equal(semaphore, &(uint32_t){values[i] - 1}, sizeof values[i]);
		semaphore_close(semaphore);
		sem_unlink(name);
		alarm(0);
	}
}

static void who_sleeps_survives_that_the_file_is_cut_off_and_its_sleep_disturbed(void **state)
{
	char name[OBJECT_NAME_SIZE], path[sizeof SHM_DIRECTORY + OBJECT_FILE_SIZE];
	sem_t *semaphore;
	pid_t child = sleeper("cut", name, &semaphore);
	int status;

	(void)state;
	snprintf(path, sizeof path, "%s/%s%s", SHM_DIRECTORY, SEMAPHORE_FILE_PREFIX, name + 1);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), false);
	semaphore_close(semaphore);
	sem_unlink(name);
	alarm(0);
}

static void files_that_are_no_semaphores_are_refused(void **state)
{
	struct name_space space = space_named("bad");
	char name[OBJECT_NAME_SIZE], file[OBJECT_FILE_SIZE];
	char path[sizeof SHM_DIRECTORY + OBJECT_FILE_SIZE];
	sem_t *semaphore;
	struct error err;
	int fd;

	(void)state;
	alarm(600);
	object_name(&space, OBJECT_REQUEST, 0, name);
	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY,
		object_file(&space, OBJECT_REQUEST, 0, file));
	assert_int_equal(semaphore_open(name, &semaphore, &err), STATUS_NOT_FOUND);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(semaphore_open(name, &semaphore, &err), STATUS_BAD_DATA);
	assert_int_equal(ftruncate(fd, sizeof(sem_t) - 1), 0);
	assert_int_equal(semaphore_open(name, &semaphore, &err), STATUS_BAD_DATA);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(semaphore_open(name, &semaphore, &err), STATUS_BAD_DATA);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(semaphore_open(name, &semaphore, &err), STATUS_NOT_PERMITTED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(semaphore_open(name, &semaphore, &err), STATUS_BAD_DATA);
	assert_int_equal(rmdir(path), 0);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(semaphores_count_and_waits_are_bounded),
		cmocka_unit_test(a_post_wakes_who_sleeps),
		cmocka_unit_test(a_post_wakes_who_sleeps_even_on_a_value_that_cannot_grow),
		cmocka_unit_test(
			who_sleeps_survives_that_the_file_is_cut_off_and_its_sleep_disturbed),
		cmocka_unit_test(files_that_are_no_semaphores_are_refused),
	};

	return cmocka_run_group_tests_name("semaphore", tests, NULL, NULL);
}
