/* The files of /dev/shm, as those who may write there make them. */
#include "shm/shm_file.h"

#include "base/cleanup.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct access mine = {.mode = 0600, .group = (gid_t)-1};

static const char *name_of(const char *what, char name[64])
{
	snprintf(name, 64, "shm_file-%d-%s", (int)getpid(), what);
	return name;
}

static const char *path_of(const char *what, char path[96])
{
	char name[64];

	snprintf(path, 96, "%s/%s", SHM_DIRECTORY, name_of(what, name));
	return path;
}

static struct file_id make(const char *what)
{
	AUTO_CLOSE int fd = shm_file_unnamed(&mine);
	struct stat status;
	char name[64];

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(shm_file_link(fd, name_of(what, name)), 0);
	return file_id_of(&status);
}

static void test_a_file_is_opened_again_only_while_it_is_the_same(void **state)
{
	struct file_id first = make("again"), second;
	char name[64], path[96];
	AUTO_CLOSE int directory = open(SHM_DIRECTORY, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = shm_file_open_again(directory, name_of("again", name), first);

	(void)state;
	assert_true(fd > 2);
	close(fd);
	unlink(path_of("again", path));
	second = make("again");
	assert_int_equal(shm_file_open_again(directory, name, first), -1);
	assert_int_equal(errno, ESTALE);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(shm_file_open_again(directory, name, second), -1);
	assert_int_equal(errno, ESTALE);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(shm_file_open_again(directory, name, second), -1);
	assert_int_equal(errno, ELOOP);
	unlink(path);
}

static void test_only_regular_files_are_opened(void **state)
{
	char name[64], path[96];
	struct stat status;

	(void)state;
	assert_int_equal(shm_file_open(name_of("none", name), O_RDONLY, &status), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(symlink("/etc/passwd", path_of("link", path)), 0);
	assert_int_equal(shm_file_open(name_of("link", name), O_RDONLY, &status), -1);
	assert_int_equal(errno, ELOOP);
	unlink(path);
	/* Opening it would wait for a writer. */
	assert_int_equal(mkfifo(path_of("fifo", path), 0600), 0);
	assert_int_equal(shm_file_open(name_of("fifo", name), O_RDONLY, &status), -1);
	assert_int_equal(errno, EINVAL);
	unlink(path);
}

static void test_a_name_is_unlinked_only_with_its_file(void **state)
{
	struct file_id first = make("first"), second;
	char name[64];

	(void)state;
	assert_true(shm_file_is(name_of("first", name), first));
	assert_int_equal(shm_file_unlink(name, first), 0);
	assert_int_equal(shm_file_unlink(name, first), ENOENT);
	second = make("first");
	if (!file_id_equal(first, second)) {
		assert_int_equal(shm_file_unlink(name, first), ENOENT);
		assert_false(shm_file_is(name, first));
	}
	assert_int_equal(shm_file_unlink(name, second), 0);
}

struct exchange {
	atomic_bool over;
	char first[96], second[96];
};

static void *exchange(void *context)
{
	struct exchange *names = context;

	while (!atomic_load(&names->over))
		renameat2(AT_FDCWD, names->first, AT_FDCWD, names->second, RENAME_EXCHANGE);
	return NULL;
}

static void test_a_name_exchanged_all_the_time_never_opens_another_kind(void **state)
{
	struct exchange names = {0};
	pthread_t thread;
	char name[64];

	(void)state;
	make("first");
	path_of("first", names.first);
	assert_int_equal(symlink("/etc/passwd", path_of("second", names.second)), 0);
	assert_int_equal(pthread_create(&thread, NULL, exchange, &names), 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct stat status, now;
		AUTO_CLOSE int fd = shm_file_open(name_of("first", name), O_RDONLY, &status);

		if (fd >= 0) {
			assert_int_equal(fstat(fd, &now), 0);
			assert_true(file_id_equal(file_id_of(&status), file_id_of(&now)));
			assert_int_equal(status.st_size, 0);
		}
	}
	atomic_store(&names.over, true);
	pthread_join(thread, NULL);
	unlink(names.first);
	unlink(names.second);
}

static int count_ours(void *context, int directory, const struct dirent *entry)
{
	const char *file = entry->d_name;
	size_t *left = context;
	struct stat status;
	char name[64];

	if (strcmp(file, name_of("walked", name)) != 0)
		return 0;
	assert_int_equal(fstatat(directory, file, &status, AT_SYMLINK_NOFOLLOW), 0);
	(*left)--;
	return 7;
}

/* Just before the kernel is asked to take the name away, somebody gives it to another file. */
static bool replaces;
static struct file_id replacement;

static void replace_once(void)
{
	char path[96];

	if (!replaces)
		return;
	replaces = false;
	unlink(path_of("replaced", path));
	replacement = make("replaced");
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
	replace_once();
	return __real_unlink(path);
}

int __real_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	replace_once();
	return __real_renameat2(from, old, to, new, flags);
}

static void test_a_file_that_has_got_the_name_keeps_it(void **state)
{
	struct file_id old = make("replaced");
	char name[64], path[96];

	(void)state;
	name_of("replaced", name);
	replaces = true;
	assert_int_equal(shm_file_remove(name, old), ENOENT);
	assert_false(replaces);
	assert_true(shm_file_is(name, replacement));
	assert_int_equal(shm_file_remove(name, old), ENOENT);
	assert_int_equal(shm_file_remove(name, replacement), 0);
	assert_int_equal(access(path_of("replaced", path), F_OK), -1);
	snprintf(path, sizeof path, "%s/shmsem-removes-%d", SHM_DIRECTORY, (int)getpid());
	assert_int_equal(access(path, F_OK), -1);
}

static void test_a_walk_ends_when_told(void **state)
{
	struct file_id id = make("walked");
	size_t left = 1;
	char name[64];

	(void)state;
	assert_int_equal(shm_file_walk(AT_FDCWD, SHM_DIRECTORY, count_ours, &left), 7);
	assert_int_equal(left, 0);
	assert_int_equal(shm_file_unlink(name_of("walked", name), id), 0);
	assert_int_equal(shm_file_walk(AT_FDCWD, SHM_DIRECTORY, count_ours, &left), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_regular_files_are_opened),
		cmocka_unit_test(test_a_file_is_opened_again_only_while_it_is_the_same),
		cmocka_unit_test(test_a_name_is_unlinked_only_with_its_file),
		cmocka_unit_test(test_a_name_exchanged_all_the_time_never_opens_another_kind),
		cmocka_unit_test(test_a_file_that_has_got_the_name_keeps_it),
		cmocka_unit_test(test_a_walk_ends_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
