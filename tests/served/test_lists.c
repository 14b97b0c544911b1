/* Lists of names are whole, or they fail: whatever goes wrong with what is in tar shards. */
#include "unit/test.h"

#include "unit/server/tar_samples.h"

#include "served/stored.h"
#include "server/descriptor.h"
#include "server/helper.h"
#include "server/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <unistd.h>

#define SHARDS 3

/* What becomes of so many of the next answers that bring the index of a shard. */
static enum {
	CHANGED,
	EXPIRED, /* and what was asked for a second time took all the time there is */
	DEAD,
	NO_DESCRIPTOR,
	NO_INDEX
} fault;
static atomic_int faults;
static atomic_int indexes; /* that came */

ssize_t __real_descriptor_receive(int socket, void *message, size_t size, int flags, int *ret_fd);
ssize_t __wrap_descriptor_receive(int socket, void *message, size_t size, int flags, int *ret_fd);

ssize_t __wrap_descriptor_receive(int socket, void *message, size_t size, int flags, int *ret_fd)
{
	ssize_t got = __real_descriptor_receive(socket, message, size, flags, ret_fd);
	struct helper_answer *answer = message;

	if (got != (ssize_t)sizeof *answer || size != sizeof *answer || !answer->indexed)
		return got;
	indexes++;
	if (faults <= 0)
		return got;
	faults--;
	close(*ret_fd);
	*ret_fd = -1;
	if (fault == EXPIRED && served.server->names.again_until)
		served.server->names.again_until = 1;
	if (fault == CHANGED || fault == EXPIRED)
		error_set(&answer->err, STATUS_TRY_AGAIN, "s.tar: changed while it was read");
	else if (fault == NO_DESCRIPTOR)
		answer->indexed = false;
	else if (fault == NO_INDEX)
		error_os(&answer->err, ENOMEM, "no memory for the index of the shard");
	return fault == DEAD ? 0 : got;
}

static int count(void *context, const char *name)
{
	(void)name;
	++*(size_t *)context;
	return 0;
}

/* The status of a list; if it is there, of all members. */
static int list(struct shmsem_error *error)
{
	size_t names = 0;
	int status = shmsem_names(served.client, count, &names, error);

	if (!status)
		assert_int_equal(names, 2 * SHARDS);
	return status;
}

static void make_faults(int what, int times)
{
	fault = what;
	indexes = 0;
	faults = times;
}

static void set_timeout(uint64_t ns)
{
	store_lock(&served.server->store);
	served.server->options.decode_timeout_ns = ns;
	store_unlock(&served.server->store);
}

static void what_passes_is_asked_for_again(void **state)
{
	struct shmsem_error error;

	(void)state;
	make_faults(CHANGED, 2 * SHARDS);
	assert_int_equal(list(&error), STATUS_OK);
	assert_int_equal(indexes, 3 * SHARDS);
}

static void each_shard_is_asked_for_once_more(void **state)
{
	struct shmsem_error error;

	(void)state;
	set_timeout(1);
	make_faults(CHANGED, SHARDS);
	assert_int_equal(list(&error), STATUS_OK);
	assert_int_equal(indexes, 2 * SHARDS);
}

static void more_often_than_that_all_have_one_time(void **state)
{
	struct shmsem_error error;

	(void)state;
	set_timeout(3600 * NS_PER_SECOND);
	make_faults(EXPIRED, 2 * SHARDS);
	assert_int_equal(list(&error), STATUS_TRY_AGAIN);
	/* Fewer, if what was asked for first comes last. */
	assert_true(indexes <= 2 * SHARDS + 1);
}

static void a_shard_whose_helper_dies_is_asked_for_again(void **state)
{
	struct shmsem_error error;

	(void)state;
	make_faults(DEAD, 2);
	assert_int_equal(list(&error), STATUS_OK);
	assert_int_equal(indexes, SHARDS + 2);
}

static void expect_failure(int what, const char *text)
{
	struct shmsem_error error;

	make_faults(what, INT_MAX);
	assert_int_equal(list(&error), STATUS_TRY_AGAIN);
	assert_non_null(strstr(error.message, text));
	faults = 0;
	assert_int_equal(list(&error), STATUS_OK);
}

static void a_shard_that_changes_all_the_time_fails_the_list(void **state)
{
	(void)state;
	set_timeout(NS_PER_SECOND / 5);
	expect_failure(CHANGED, "changed while it was read");
	assert_true(indexes > SHARDS);
}

static void what_the_server_lacks_fails_the_list(void **state)
{
	(void)state;
	expect_failure(NO_DESCRIPTOR, "no descriptor is left");
}

static void what_a_helper_lacks_fails_the_list(void **state)
{
	(void)state;
	expect_failure(NO_INDEX, "no memory for the index");
}

static int set_up(void **state)
{
	serve_stored(state);
	for (char name[] = "0.tar"; name[0] < '0' + SHARDS; name[0]++) {
		struct tar_sample tar = {0};

		tar_add(&tar, '0', "1.png", "one", 3);
		tar_add(&tar, '0', "2.png", "two", 3);
		served_write(&served, name, tar.data, tar.size);
		tar_free(&tar);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, stop_stored)
		TEST(what_passes_is_asked_for_again),
		TEST(each_shard_is_asked_for_once_more),
		TEST(more_often_than_that_all_have_one_time),
		TEST(a_shard_whose_helper_dies_is_asked_for_again),
		TEST(a_shard_that_changes_all_the_time_fails_the_list),
		TEST(what_the_server_lacks_fails_the_list),
		TEST(what_a_helper_lacks_fails_the_list),
	};

	served_main(argc, argv);
	return cmocka_run_group_tests_name("lists", tests, NULL, NULL);
}
