/* Segments, and the guard against SIGBUS where one was truncated. */
#include "test.h"

#include "base/cleanup.h"
#include "own.h"
#include "shm/guard.h"
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
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

#define PAGE 4096

static void a_segment_grows_in_place_and_never_shrinks(void **state)
{
	struct segment segment;
	struct error err;

	(void)state;
	assert_int_equal(segment_new(1, 1 << 20, &mine, &segment, &err), 0);
	assert_int_equal(segment.size, PAGE);
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
	more = (size_t)system.f_blocks * system.f_frsize + PAGE;
	assert_int_equal(segment_new(PAGE, 2 * more, &mine, &segment, &err), 0);
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
	alarm(600);
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

static void a_cut_segment_reads_as_zeros_and_that_is_remembered(void **state)
{
	volatile uint8_t *bytes;
	struct segment segment;
	int range;

	(void)state;
	assert_int_equal(guard_install(NULL), 0);
	assert_int_equal(guard_install(NULL), 0);
	assert_int_equal(segment_new(8 * PAGE, 8 * PAGE, &mine, &segment, NULL), 0);
	memset(segment.base, 7, segment.size);
	bytes = segment.base;
	range = guard_add(segment.base, segment.reserved);
	assert_true(range >= 0);
	assert_false(guard_hit(range));
	assert_int_equal(ftruncate(segment.fd, 2 * PAGE), 0);
	assert_int_equal(bytes[0], 7);
	assert_false(guard_hit(range));
	assert_int_equal(bytes[5 * PAGE + 9], 0);
	assert_true(guard_hit(range));
	bytes[6 * PAGE] = 3;
	assert_int_equal(bytes[6 * PAGE], 3);
	assert_int_equal(bytes[PAGE], 7);

	/* Made whole and mapped anew, it is the segment again. */
	assert_int_equal(segment_grow(&segment, segment.size, NULL), 0);
	guard_clear(range);
	assert_int_equal(segment_remap(&segment, PROT_READ | PROT_WRITE, NULL), 0);
	assert_int_equal(bytes[6 * PAGE], 0);
	assert_int_equal(pwrite(segment.fd, "x", 1, 6 * PAGE), 1);
	assert_int_equal(bytes[6 * PAGE], 'x');
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
	assert_int_equal(segment_new(PAGE, 2 * PAGE, &mine, &segment, NULL), 0);
	child = fork();
	if (!child) {
		const struct rlimit no_core = {0, 0};

		/* cmocka has a handler of its own, which would be passed on to. */
		if (setrlimit(RLIMIT_CORE, &no_core) || signal(SIGBUS, SIG_DFL) == SIG_ERR ||
			guard_install(NULL))
			_exit(1);
		((volatile uint8_t *)segment.base)[PAGE] = 1;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, while no guard is installed. */
		cmocka_unit_test(a_sigbus_of_others_still_ends_the_process),
		cmocka_unit_test(a_segment_grows_in_place_and_never_shrinks),
		cmocka_unit_test(a_full_file_system_is_told_before_anything_is_written),
		cmocka_unit_test(a_name_is_given_once_and_unlinked_only_by_its_owner),
		cmocka_unit_test(modes_are_as_asked_for_whatever_the_umask),
		cmocka_unit_test(what_is_no_segment_is_not_opened),
		cmocka_unit_test(a_cut_segment_reads_as_zeros_and_that_is_remembered),
		cmocka_unit_test(no_more_ranges_are_guarded_than_there_is_room_for),
	};

	return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
