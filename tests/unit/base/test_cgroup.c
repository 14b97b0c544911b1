/* Memory limits of control groups, in a root of our own. */
#include "test.h"

#include "base/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/shmsem-cgroup-XXXXXX";

static void write_file(const char *file, const char *text)
{
	char command[512], path[256];
	FILE *opened;

	snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s%s')\"", root, file);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof path, "%s%s", root, file);
	opened = fopen(path, "w");
	assert_non_null(opened);
	assert_true(fputs(text, opened) >= 0);
	assert_int_equal(fclose(opened), 0);
}

static void test_without_groups_there_is_no_limit(void **state)
{
	(void)state;
	assert_true(cgroup_memory_limit(root) == UINT64_MAX);
	write_file("/proc/self/cgroup", "4:memory:/old\n1:name=systemd:/\n");
	assert_true(cgroup_memory_limit(root) == UINT64_MAX);
}

static void test_the_lowest_limit_of_all_groups_above_counts(void **state)
{
	(void)state;
	write_file("/proc/self/cgroup", "0::/outer/inner\n");
	write_file("/sys/fs/cgroup/outer/inner/memory.max", "max\n");
	assert_true(cgroup_memory_limit(root) == UINT64_MAX);
	write_file("/sys/fs/cgroup/outer/memory.max", "200000000\n");
	assert_int_equal(cgroup_memory_limit(root), 200000000);
	write_file("/sys/fs/cgroup/outer/inner/memory.max", "100000000\n");
	assert_int_equal(cgroup_memory_limit(root), 100000000);
	/* In a container the group is the root of what is mounted. */
	write_file("/proc/self/cgroup", "0::/\n");
	write_file("/sys/fs/cgroup/memory.max", "300000000\n");
	assert_int_equal(cgroup_memory_limit(root), 300000000);
}

static void test_groups_of_version_1_count_too(void **state)
{
	(void)state;
	write_file("/proc/self/cgroup", "9:pids:/\n4:memory:/first/second\n0::/\n");
	write_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	write_file("/sys/fs/cgroup/memory.max", "max\n");
	assert_true(cgroup_memory_limit(root) == UINT64_MAX);
	write_file("/sys/fs/cgroup/memory/first/memory.limit_in_bytes", "70000000\n");
	assert_int_equal(cgroup_memory_limit(root), 70000000);
}

static int remove_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -r '%s'", root);
	return system(command);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_groups_there_is_no_limit),
		cmocka_unit_test(test_the_lowest_limit_of_all_groups_above_counts),
		cmocka_unit_test(test_groups_of_version_1_count_too),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
