/* Asking the kernel whether files of /dev/shm are in use: many at once. */
#include "inventory/lease.h"

#include "base/cleanup.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* So many that several threads ask, where there are several processors. */
#define FILES 5000

static char names[FILES][48];

static struct lease_query *make_all(void)
{
	struct lease_query *queries = calloc(FILES, sizeof *queries);

	assert_non_null(queries);
	for (size_t i = 0; i < FILES; i++) {
		struct stat status;

		snprintf(names[i], sizeof names[i], "lease-%d-%zu", (int)getpid(), i);
		close(shm_open(names[i], O_CREAT | O_EXCL | O_RDWR, 0600));
		assert_int_equal(shm_file_look(names[i], &status), 0);
		queries[i] = (struct lease_query){
			.file = names[i], .id = file_id_of(&status), .error = -1};
	}
	return queries;
}

static void remove_all(void)
{
	for (size_t i = 0; i < FILES; i++)
		shm_unlink(names[i]);
}

static size_t count_descriptors(void)
{
	AUTO_CLOSEDIR DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	return count;
}

static void test_only_files_in_use_are_said_to_be_so(void **state)
{
	AUTO_FREE struct lease_query *queries = make_all();
	size_t descriptors = count_descriptors(), mapped = 7, opened = FILES - 1;
	int map = shm_open(names[mapped], O_RDWR, 0), fd = shm_open(names[opened], O_RDONLY, 0);
	void *memory;

	(void)state;
	assert_int_equal(ftruncate(map, 4096), 0);
	memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, map, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	close(map);
	lease_ask(queries, FILES);
	for (size_t i = 0; i < FILES; i++)
		assert_int_equal(queries[i].error, i == mapped || i == opened ? EAGAIN : 0);
	munmap(memory, 4096);
	close(fd);
	assert_int_equal(count_descriptors(), descriptors);
	/* Nothing is kept: who will not wait is not refused. */
	fd = shm_open(names[0], O_RDWR | O_NONBLOCK, 0);
	assert_true(fd >= 0);
	close(fd);
	remove_all();
}

static unsigned pauses;

int __wrap_nanosleep(const struct timespec *length, struct timespec *left);

int __wrap_nanosleep(const struct timespec *length, struct timespec *left)
{
	(void)length;
	(void)left;
	pauses++;
	return 0;
}

static void test_many_in_use_are_waited_for_together(void **state)
{
	AUTO_FREE struct lease_query *queries = make_all();
	int held[100];

	(void)state;
	for (size_t i = 0; i < 100; i++)
		held[i] = shm_open(names[i], O_RDWR, 0);
	pauses = 0;
	lease_ask(queries, FILES);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(queries[i].error, EAGAIN);
		close(held[i]);
	}
	assert_in_range(pauses, 1, 10);
	remove_all();
}

static void test_a_name_that_leads_elsewhere_by_now_is_no_answer(void **state)
{
	AUTO_FREE struct lease_query *queries = make_all();

	(void)state;
	shm_unlink(names[1]);
	queries[2].id.inode++;
	lease_ask(queries, FILES);
	assert_int_equal(queries[0].error, 0);
	assert_int_equal(queries[1].error, ENOENT);
	assert_int_equal(queries[2].error, ESTALE);
	remove_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_files_in_use_are_said_to_be_so),
		cmocka_unit_test(test_many_in_use_are_waited_for_together),
		cmocka_unit_test(test_a_name_that_leads_elsewhere_by_now_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
