/* What is done to INDEX from outside: what is answered stays right, and soon there is another one, in
 * which all find images without asking. With the argument "flag" it has rings, or is skipped. */
#include "unit/test.h"

#include "base/clock.h"
#include "served/stored.h"
#include "server/internal.h"
#include "server/publish.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INDEX_PATH "/dev/shm/SEG_served_INDEX"

static bool with_flag;

static struct sigaction guard;

static int set_up(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.seats = 5;
	options.fresh_ns = with_flag ? 0 : 3600 * NS_PER_SECOND;
	served_start(&served, &options);
	/* It was installed by the first of them. */
	if (!guard.sa_sigaction)
		sigaction(SIGBUS, NULL, &guard);
	return 0;
}

/* cmocka takes the signal for each test. */
static void restore_guard(void)
{
	sigaction(SIGBUS, &guard, NULL);
}

/* ---- damages ---- */

static const struct index *server_index(void)
{
	return &served.server->objects.index;
}

/* Truncated and grown again, the page that the kernel writes to is another. */
static void cut(size_t size, bool grown)
{
	assert_int_equal(truncate(INDEX_PATH, (off_t)size), 0);
	if (grown)
		assert_int_equal(truncate(INDEX_PATH, 8 << 20), 0);
}

static void empty(size_t at, size_t size)
{
	int fd = open(INDEX_PATH, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)size),
		0);
	close(fd);
}

static void flip(size_t at)
{
	uint8_t byte = server_index()->segment.base[at] ^ 0xff;
	int fd = open(INDEX_PATH, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

#define FIELD(name) offsetof(struct wire_index, name)

static const size_t header_fields[] = {FIELD(magic), FIELD(version), FIELD(page), FIELD(instance),
	FIELD(flags), FIELD(rings), FIELD(key), FIELD(sequence), FIELD(table), FIELD(entries),
	FIELD(owner)};

#define HEADER_FIELDS (sizeof header_fields / sizeof *header_fields)
#define CUTS          10
#define HOLES         4
#define RING_FIELDS   5

/* Does the damage of that number; false if there is none. */
static bool damage(size_t number)
{
	const struct index *index = server_index();
	const struct wire_ring *rings = index_header(index)->ring;
	size_t page = index->page, table = wire_index_start(page, index->rings);
	const size_t cuts[CUTS / 2] = {0, 64, page, table, table + page};
	const size_t holes[HOLES] = {0, table, page, table - page};

	if (number < CUTS) {
		cut(cuts[number / 2], number % 2);
	} else if ((number -= CUTS) < HOLES) {
		empty(holes[number], page);
	} else if ((number -= HOLES) < HEADER_FIELDS) {
		flip(header_fields[number]);
	} else if ((number -= HEADER_FIELDS) < RING_FIELDS && index->rings) {
		const size_t ring_fields[RING_FIELDS] = {FIELD(ring[0]), rings[0].mark,
			rings[1].mark, rings[0].flags, rings[1].tail};

		flip(ring_fields[number]);
	} else {
		return false;
	}
	return true;
}

/* ---- the server ---- */

static uint64_t index_number(void)
{
	return atomic_load(&head_server(&served.server->objects.head)->index_number);
}

static void upkeep(void)
{
	struct error err;
	bool done;

	if (server_upkeep(served.server, &done, &err))
		fail_msg("%s", err.text);
}

static void upkeep_until(uint64_t deadline)
{
	assert_true(clock_now() < deadline);
	upkeep();
	pause_ns(5 * NS_PER_MS);
}

/* Until there is another index than that of this number. */
static void await_another(uint64_t number)
{
	uint64_t deadline = deadline_after(60 * NS_PER_SECOND);

	while (!index_number() || index_number() == number)
		upkeep_until(deadline);
}

static unsigned mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		count += strstr(line, "/dev/shm/") != NULL;
	fclose(file);
	return count;
}

/* ---- clients ---- */

static uint32_t width = 5;

/* Without the flag a change is seen only once its entry has expired. */
static void change_image(void)
{
	if (with_flag)
		write_image("a.png", ++width);
}

static struct shmsem *connect_new(void)
{
	const struct shmsem_connect_options options = {
		.name_space = "served", .flags = SHMSEM_GUARD_SIGBUS};
	struct shmsem *client;
	struct shmsem_error error;

	if (shmsem_connect(&client, &options, &error))
		fail_msg("%s", error.message);
	return client;
}

static bool found_by(struct shmsem *client)
{
	struct shmsem *first = served.client;
	bool without_asking;

	served.client = client;
	without_asking = fetch_found("a.png", width);
	served.client = first;
	return without_asking;
}

/* What the next change of something heals, is no cause for another index. */
static void await_found(struct shmsem *client)
{
	uint64_t deadline = deadline_after(60 * NS_PER_SECOND);

	while (!found_by(client) || !found_by(client))
		upkeep_until(deadline);
}

static void expect_found_by(struct shmsem *client)
{
	struct shmsem *first = served.client;

	served.client = client;
	expect_found("a.png", width);
	for (int i = 0; i < 10; i++)
		assert_true(fetch_found("a.png", width));
	served.client = first;
}

/*
 * By clients that were there before and asked meanwhile or did not, that came while there was none,
 * and that come later.
 */
static bool found_after(size_t number)
{
	struct shmsem *busy = connect_new(), *idle = connect_new(), *between = NULL, *late = NULL;
	bool done;

	expect_found_by(busy);
	expect_found_by(idle);
	done = damage(number);
	if (done) {
		change_image();
		found_by(busy);
		upkeep();
		between = connect_new();
		change_image();
		found_by(between);
		found_by(busy);
		await_found(between);
		late = connect_new();
		expect_found_by(late);
		expect_found_by(between);
		expect_found_by(idle);
		expect_found_by(busy);
		change_image();
		found_by(idle);
	}
	shmsem_close(busy);
	shmsem_close(idle);
	shmsem_close(between);
	shmsem_close(late);
	return done;
}

static void a_damaged_index_is_made_anew(void **state)
{
	unsigned before = 0;
	size_t number = 0;

	(void)state;
	restore_guard();
	write_image("a.png", width);
	while (found_after(number)) {
		if (!number++)
			before = mappings();
		assert_int_equal(mappings(), before);
	}
	assert_true(number >= CUTS + HOLES + HEADER_FIELDS);
}

/* Somebody took its name meanwhile. */
static void it_is_tried_again_until_it_can_be_made(void **state)
{
	struct shmsem *client = connect_new();
	uint64_t before = index_number();
	unsigned maps;
	int fd;

	(void)state;
	restore_guard();
	write_image("a.png", width);
	expect_found_by(client);
	maps = mappings();
	cut(0, false);
	while (index_number())
		upkeep();
	fd = open(INDEX_PATH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 50; i++) {
		upkeep();
		pause_ns(5 * NS_PER_MS);
		change_image();
		assert_false(found_by(client));
	}
	assert_int_equal(index_number(), 0);
	assert_int_equal(unlink(INDEX_PATH), 0);
	await_another(before);
	expect_found_by(client);
	assert_int_equal(mappings(), maps);
	shmsem_close(client);
}

/* What it had grown to is part of the budget no more. */
static void a_renewed_index_takes_what_the_first_one_took(void **state)
{
	uint64_t budget = served.server->store.budget;

	(void)state;
	restore_guard();
	write_image("a.png", width);
	for (int round = 0; round < 3; round++) {
		uint64_t before = index_number();

		cut(64, true);
		await_another(before);
		assert_int_equal(served.server->store.budget, budget);
	}
}

/* ---- an index that cannot be armed ---- */

/* What renew.c waits in turns of upkeep: a minute at most. */
#define WAIT_FIRST 4
#define WAIT_MAX   240

static atomic_bool refused;

bool __real_change_flag_arm(struct change_flag *flag);
bool __wrap_change_flag_arm(struct change_flag *flag);

/* Stands in for the kernel that will not have the poll. */
bool __wrap_change_flag_arm(struct change_flag *flag)
{
	return !atomic_load(&refused) && __real_change_flag_arm(flag);
}

/* The request thread, asked for what it has, takes changes in, and lets go of an index that was
 * given up; then it is the main thread's turn. */
static void turn(uint64_t deadline)
{
	assert_true(clock_now() < deadline);
	assert_false(found_by(served.client));
	upkeep();
}

/* The turns from when there is none to another one. */
static unsigned turns_without(void)
{
	uint64_t deadline = deadline_after(60 * NS_PER_SECOND);
	unsigned turns = 0;

	while (index_number())
		turn(deadline);
	for (; !index_number(); turns++)
		turn(deadline);
	return turns;
}

static void assert_waited(unsigned turns)
{
	unsigned waited = turns_without();

	/* The request thread may need a turn to let go, and the next one is made in another. */
	assert_in_range(waited, turns, turns + 3);
}

static void one_that_cannot_be_armed_is_made_ever_less_often(void **state)
{
	(void)state;
	if (!with_flag)
		return;
	restore_guard();
	write_image("a.png", width);
	expect_found_by(served.client);
	atomic_store(&refused, true);
	change_image();
	for (unsigned wait = WAIT_FIRST; wait < 4 * WAIT_MAX; wait *= 2)
		assert_waited(wait < WAIT_MAX ? wait : WAIT_MAX);
	atomic_store(&refused, false);
	await_found(served.client);
	for (int i = 0; i < WAIT_MAX; i++)
		upkeep();
	/* One that worked for so long ends the series. */
	atomic_store(&refused, true);
	change_image();
	assert_waited(WAIT_FIRST);
	atomic_store(&refused, false);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_damaged_index_is_made_anew, set_up, stop_stored),
		cmocka_unit_test_setup_teardown(
			it_is_tried_again_until_it_can_be_made, set_up, stop_stored),
		cmocka_unit_test_setup_teardown(
			a_renewed_index_takes_what_the_first_one_took, set_up, stop_stored),
		cmocka_unit_test_setup_teardown(
			one_that_cannot_be_armed_is_made_ever_less_often, set_up, stop_stored),
	};

	served_main(argc, argv);
	with_flag = argc > 1 && !strcmp(argv[1], "flag");
	if (with_flag && !has_flag())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
