/* Names, locks, segments, semaphores and the SIGBUS guard. */
#include "test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"
#include "exchange/request.h"
#include "exchange/seats.h"
#include "shm/guard.h"
#include "shm/lock.h"
#include "shm/names.h"
#include "shm/segment.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct access mine = {.mode = 0600, .group = (gid_t)-1};

static struct name_space space_named(const char *text)
{
	struct name_space space;

	snprintf(space.text, sizeof space.text, "test-ipc-%d-%s", (int)getpid(), text);
	return space;
}

/* ---- names ---- */

static void names_and_files_lead_back_to_what_made_them(void **state)
{
	static const char *const spaces[] = {
		"a", "shmsem", "a_b", "x_DATA", "_REQ", "SEM_x_RES", "..", "-", "9"};
	static const enum object_kind kinds[] = {
		OBJECT_REQUEST, OBJECT_RESPONSE, OBJECT_HEAD, OBJECT_DATA, OBJECT_INDEX};
	static const unsigned indexes[] = {0, 1, 7, 10, 1023, 999999999};

	(void)state;
	for (size_t s = 0; s < sizeof spaces / sizeof *spaces; s++)
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
				bool numbered = kinds[k] == OBJECT_RESPONSE ||
						kinds[k] == OBJECT_DATA;
				struct name_space space, back;
				char file[OBJECT_FILE_SIZE];
				enum object_kind kind;
				unsigned index;

				assert_int_equal(namespace_parse(spaces[s], &space, NULL), 0);
				object_file(&space, kinds[k], indexes[i], file);
				assert_true(object_file_parse(file, &back, &kind, &index));
				assert_string_equal(back.text, space.text);
				assert_int_equal(kind, kinds[k]);
				assert_int_equal(index, numbered ? indexes[i] : 0);
			}
}

static void the_documented_names_are_made(void **state)
{
	struct name_space space = {"ns"};
	char name[OBJECT_NAME_SIZE];

	(void)state;
	assert_string_equal(object_name(&space, OBJECT_REQUEST, 0, name), "/SEM_ns_REQ");
	assert_string_equal(object_name(&space, OBJECT_RESPONSE, 0, name), "/SEM_ns_RES");
	assert_string_equal(object_name(&space, OBJECT_RESPONSE, 3, name), "/SEM_ns:3_RES");
	assert_string_equal(object_name(&space, OBJECT_HEAD, 0, name), "/SEG_ns_HEAD");
	assert_string_equal(object_name(&space, OBJECT_DATA, 0, name), "/SEG_ns_DATA");
	assert_string_equal(object_name(&space, OBJECT_DATA, 12, name), "/SEG_ns:12_DATA");
	assert_string_equal(object_name(&space, OBJECT_INDEX, 0, name), "/SEG_ns_INDEX");
}

static void files_of_others_are_not_taken_for_ours(void **state)
{
	static const char *const files[] = {"", "x", "SEG_", "SEG__HEAD", "SEG_HEAD",
		"sem.SEG_x_HEAD", "SEM_x_REQ", "sem.SEM_x:0_RES", "sem.SEM_x:01_RES",
		"sem.SEM_x:_RES", "sem.SEM_x:1_REQ", "SEG_x:1_HEAD", "SEG_x:-1_DATA",
		"SEG_x:1x_DATA", "SEG_x:1:2_DATA", "SEG_x:9999999999_DATA", "SEG_a b_HEAD",
		"SEG_:1_DATA", "seg_x_HEAD", "SEG_x_HEAD2"};
	char file[OBJECT_FILE_SIZE * 2];
	struct name_space space;
	enum object_kind kind;
	unsigned index;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		assert_false(object_file_parse(files[i], &space, &kind, &index));
	memset(file, 0, sizeof file);
	memcpy(file, "SEG_", 4);
	memset(file + 4, 'x', NAMESPACE_MAX + 1);
	strcat(file, "_HEAD");
	assert_false(object_file_parse(file, &space, &kind, &index));
}

static void namespaces_that_cannot_be_are_refused_and_shown_escaped(void **state)
{
	static const char *const bad[] = {
		"", "a b", "a:b", "a\n", "\x1b[31m", "\xff", "ü", "a\\b", "*"};
	char longest[NAMESPACE_MAX + 2];
	struct name_space space;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(namespace_parse(bad[i], &space, &err), STATUS_USAGE);
		assert_null(strchr(err.text, '\n'));
		assert_null(strchr(err.text, '\x1b'));
		assert_null(strchr(err.text, '\xff'));
	}
	memset(longest, 'a', sizeof longest);
	longest[NAMESPACE_MAX + 1] = '\0';
	assert_int_equal(namespace_parse(longest, &space, &err), STATUS_USAGE);
	longest[NAMESPACE_MAX] = '\0';
	assert_int_equal(namespace_parse(longest, &space, &err), STATUS_OK);
	assert_int_equal(namespace_parse("a/b/../c", &space, &err), STATUS_OK);
	assert_string_equal(space.text, "a_b_.._c");
}

/* ---- locks ---- */

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

		if (lock_take(fd, WIRE_SERVER_LOCK) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(ftruncate(first, 0), 0);
	assert_int_equal(lock_held(first, WIRE_SERVER_LOCK, 1), 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	while (lock_held(first, WIRE_SERVER_LOCK, 1) == 1)
		assert_true(clock_now() < deadline);
	close(ready[0]);
	close(ready[1]);
}

/* ---- segments ---- */

static void a_segment_grows_in_place_and_never_shrinks(void **state)
{
	struct segment segment;
	struct error err;

	(void)state;
	assert_int_equal(segment_new(1, 1 << 20, &mine, &segment, &err), 0);
	assert_int_equal(segment.size, WIRE_PAGE);
	segment.base[0] = 1;
	for (size_t size = 1; size <= 1 << 20; size *= 2) {
		uint8_t *base = segment.base;

		assert_int_equal(segment_grow(&segment, size, &err), 0);
		assert_ptr_equal(segment.base, base);
		assert_true(segment.size >= size);
		segment.base[segment.size - 1] = 1;
	}
	assert_int_equal(segment_grow(&segment, 1, &err), 0);
	assert_int_equal(segment.size, 1 << 20);
	assert_int_equal(segment_grow(&segment, (1 << 20) + 1, &err), STATUS_TRY_AGAIN);
	assert_int_equal(segment_grow(&segment, SIZE_MAX, &err), STATUS_TRY_AGAIN);
	assert_int_equal(segment.base[0], 1);
	/* What a peer has cut comes back. */
	assert_int_equal(ftruncate(segment.fd, 0), 0);
	assert_int_equal(segment_grow(&segment, segment.size, &err), 0);
	assert_int_equal(segment.base[segment.size - 1], 0);
	segment_release(&segment);
	segment_release(&segment);
}

static void a_full_file_system_is_told_before_anything_is_written(void **state)
{
	struct segment segment;
	struct statvfs system;
	struct error err;
	size_t more;

	(void)state;
	assert_int_equal(statvfs(SHM_DIRECTORY, &system), 0);
	more = (size_t)system.f_blocks * system.f_frsize + WIRE_PAGE;
	assert_int_equal(segment_new(WIRE_PAGE, 2 * more, &mine, &segment, &err), 0);
	assert_int_equal(segment_grow(&segment, more, &err), STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, ENOSPC);
	assert_non_null(strstr(err.text, "needed"));
	assert_non_null(strstr(err.text, "free"));
	assert_non_null(strstr(err.text, "--shm-size"));
	segment_release(&segment);
}

static void a_name_is_given_once_and_unlinked_only_by_its_owner(void **state)
{
	struct name_space space = space_named("once");
	char name[OBJECT_NAME_SIZE];
	struct segment first, second, opened;
	struct error err;

	(void)state;
	object_name(&space, OBJECT_HEAD, 0, name);
	assert_int_equal(segment_new(1, 0, &mine, &first, &err), 0);
	assert_int_equal(segment_new(1, 0, &mine, &second, &err), 0);
	assert_int_equal(segment_open(name, true, 0, &opened, &err), STATUS_NOT_FOUND);
	assert_int_equal(segment_publish(&first, name, &err), 0);
	assert_int_equal(segment_publish(&second, name, &err), STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, EEXIST);
	assert_int_equal(segment_open(name, true, 0, &opened, &err), 0);
	assert_int_equal(opened.id.inode, first.id.inode);
	segment_release(&opened);
	assert_int_equal(shm_file_unlink(name + 1, second.id), ENOENT);
	assert_int_equal(shm_file_unlink(name + 1, first.id), 0);
	assert_int_equal(segment_open(name, true, 0, &opened, &err), STATUS_NOT_FOUND);
	segment_release(&first);
	segment_release(&second);
}

static void modes_are_as_asked_for_whatever_the_umask(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0777};

	(void)state;
	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		const struct access access = {.mode = 0664, .group = (gid_t)-1};
		mode_t before = umask(masks[i]);
		int fd = shm_file_unnamed(&access);
		struct stat status;

		umask(before);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal(status.st_mode & 07777, 0664);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
	}
}

static void what_is_no_segment_is_not_opened(void **state)
{
	struct name_space space = space_named("odd");
	char name[OBJECT_NAME_SIZE], path[sizeof SHM_DIRECTORY + OBJECT_NAME_SIZE];
	struct segment segment;
	struct error err;

	(void)state;
	alarm(10);
	snprintf(path, sizeof path, "%s%s", SHM_DIRECTORY,
		object_name(&space, OBJECT_DATA, 0, name));
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(segment_open(name, false, 0, &segment, &err), STATUS_NOT_PERMITTED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(segment_open(name, false, 0, &segment, &err), STATUS_NOT_PERMITTED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_not_equal(segment_open(name, false, 0, &segment, &err), STATUS_OK);
	assert_int_equal(rmdir(path), 0);
	alarm(0);
}

/* ---- semaphores ---- */

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
		_exit(semaphore_wait(*ret, clock_now() + 20 * NS_PER_SECOND));
	}
	assert_true(child > 0);
	alarm(30);
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
	alarm(10);
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

/* ---- the guard ---- */

static void a_cut_segment_reads_as_zeros_and_that_is_remembered(void **state)
{
	volatile uint8_t *bytes;
	struct segment segment;
	int range;

	(void)state;
	assert_int_equal(guard_install(NULL), 0);
	assert_int_equal(guard_install(NULL), 0);
	assert_int_equal(segment_new(8 * WIRE_PAGE, 8 * WIRE_PAGE, &mine, &segment, NULL), 0);
	memset(segment.base, 7, segment.size);
	bytes = segment.base;
	range = guard_add(segment.base, segment.reserved);
	assert_true(range >= 0);
	assert_false(guard_hit(range));
	assert_int_equal(ftruncate(segment.fd, 2 * WIRE_PAGE), 0);
	assert_int_equal(bytes[0], 7);
	assert_false(guard_hit(range));
	assert_int_equal(bytes[5 * WIRE_PAGE + 9], 0);
	assert_true(guard_hit(range));
	bytes[6 * WIRE_PAGE] = 3;
	assert_int_equal(bytes[6 * WIRE_PAGE], 3);
	assert_int_equal(bytes[WIRE_PAGE], 7);

	/* Made whole and mapped anew, it is the segment again. */
	assert_int_equal(segment_grow(&segment, segment.size, NULL), 0);
	guard_clear(range);
	assert_int_equal(segment_remap(&segment, PROT_READ | PROT_WRITE, NULL), 0);
	assert_int_equal(bytes[6 * WIRE_PAGE], 0);
	assert_int_equal(pwrite(segment.fd, "x", 1, 6 * WIRE_PAGE), 1);
	assert_int_equal(bytes[6 * WIRE_PAGE], 'x');
	assert_false(guard_hit(range));
	guard_remove(range);
	segment_release(&segment);
}

static void a_sigbus_of_others_still_ends_the_process(void **state)
{
	struct segment segment;
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(segment_new(WIRE_PAGE, 2 * WIRE_PAGE, &mine, &segment, NULL), 0);
	child = fork();
	if (!child) {
		const struct rlimit no_core = {0, 0};

		/* cmocka has a handler of its own, which would be passed on to. */
		if (setrlimit(RLIMIT_CORE, &no_core) || signal(SIGBUS, SIG_DFL) == SIG_ERR ||
			guard_install(NULL))
			_exit(1);
		((volatile uint8_t *)segment.base)[WIRE_PAGE] = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	segment_release(&segment);
}

static void no_more_ranges_are_guarded_than_there_is_room_for(void **state)
{
	static int ranges[GUARD_RANGES];
	unsigned made = 0;

	(void)state;
	while (made < GUARD_RANGES &&
		(ranges[made] = guard_add((void *)((uintptr_t)(made + 1) << 12), 4096)) >= 0)
		made++;
	assert_int_equal(guard_add((void *)(uintptr_t)4096, 4096), -1);
	assert_false(guard_hit(-1));
	guard_remove(-1);
	guard_clear(-1);
	while (made)
		guard_remove(ranges[--made]);
}

static void the_process_id_is_right_in_children_too(void **state)
{
	int status;
	pid_t child;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(process_id(), getpid());
	child = fork();
	if (!child)
		_exit(process_id() == getpid() && process_id() == getpid() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(process_id(), getpid());
}

/* What a walk from the start says comes behind `last`. */
static size_t names_walked(const char *names, size_t size, const char *last, char *text)
{
	size_t used = 0;

	for (const char *at = names; at < names + size; at += strlen(at) + 1) {
		if (strcmp(at, last) <= 0)
			continue;
		if (used + strlen(at) + 1 > WIRE_TEXT_SIZE)
			break;
		used += (size_t)(stpcpy(text + used, at) - (text + used)) + 1;
	}
	return used;
}

static void a_page_of_names_begins_behind_the_last_one(void **state)
{
	static const char *const lasts[] = {"", "0", "0000", "0007", "0007x", "0500", "0999", "1"};
	char names[8192] = "", text[WIRE_TEXT_SIZE], expected[WIRE_TEXT_SIZE];
	size_t size = 0;

	(void)state;
	assert_int_equal(request_names("", 0, "", text), 0);
	for (int i = 0; i < 1000; i += 1 + i % 3)
		size += (size_t)snprintf(
				names + size, sizeof names - size, "%04d%.*s", i, i % 5, "abcd") +
			1;
	for (size_t i = 0; i < sizeof lasts / sizeof *lasts; i++) {
		size_t used = request_names(names, size, lasts[i], text);

		assert_int_equal(used, names_walked(names, size, lasts[i], expected));
		assert_memory_equal(text, expected, used);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, while no guard is installed. */
		cmocka_unit_test(a_sigbus_of_others_still_ends_the_process),
		cmocka_unit_test(names_and_files_lead_back_to_what_made_them),
		cmocka_unit_test(the_documented_names_are_made),
		cmocka_unit_test(a_page_of_names_begins_behind_the_last_one),
		cmocka_unit_test(files_of_others_are_not_taken_for_ours),
		cmocka_unit_test(namespaces_that_cannot_be_are_refused_and_shown_escaped),
		cmocka_unit_test(a_lock_excludes_other_open_files_and_not_its_own),
		cmocka_unit_test(a_read_lock_is_no_proof_of_life),
		cmocka_unit_test(a_lock_ends_with_its_process_and_survives_truncation),
		cmocka_unit_test(a_segment_grows_in_place_and_never_shrinks),
		cmocka_unit_test(a_full_file_system_is_told_before_anything_is_written),
		cmocka_unit_test(a_name_is_given_once_and_unlinked_only_by_its_owner),
		cmocka_unit_test(modes_are_as_asked_for_whatever_the_umask),
		cmocka_unit_test(what_is_no_segment_is_not_opened),
		cmocka_unit_test(semaphores_count_and_waits_are_bounded),
		cmocka_unit_test(a_post_wakes_who_sleeps),
		cmocka_unit_test(a_post_wakes_who_sleeps_even_on_a_value_that_cannot_grow),
		cmocka_unit_test(
			who_sleeps_survives_that_the_file_is_cut_off_and_its_sleep_disturbed),
		cmocka_unit_test(files_that_are_no_semaphores_are_refused),
		cmocka_unit_test(a_cut_segment_reads_as_zeros_and_that_is_remembered),
		cmocka_unit_test(no_more_ranges_are_guarded_than_there_is_room_for),
		cmocka_unit_test(the_process_id_is_right_in_children_too),
	};

	return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
