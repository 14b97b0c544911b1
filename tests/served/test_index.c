/* With --fresh, what is stored is found without asking the server for a while. */
#include "unit/test.h"

#include "base/clock.h"
#include "served/stored.h"
#include "server/internal.h"
#include "unit/image/image_samples.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRESH_NS (300 * NS_PER_MS)

static int set_up(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.fresh_ns = FRESH_NS;
	served_start(&served, &options);
	return 0;
}

static int set_up_small(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.fresh_ns = 60 * NS_PER_SECOND;
	options.cache = 256 << 10;
	served_start(&served, &options);
	return 0;
}

static int set_up_large(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.fresh_ns = 60 * NS_PER_SECOND;
	options.cache = 16 << 20;
	served_start(&served, &options);
	return 0;
}

static void a_stored_image_is_found_until_it_expires(void **state)
{
	uint64_t begun = clock_now();

	(void)state;
	write_image("a.png", 5);
	assert_false(fetch_found("a.png", 5));
	for (int i = 0; i < 100; i++)
		if (!fetch_found("a.png", 5)) {
			assert_true(clock_now() - begun >= FRESH_NS / 2);
			begun = clock_now();
		}
	/* By another name it is the same image, but that is not known yet. */
	assert_false(fetch_found("a", 5));
	pause_ns(FRESH_NS);
	assert_false(fetch_found("a.png", 5));
	assert_int_equal(served.server->store.ready.count, 1);
}

static void a_changed_file_is_seen_once_its_entry_has_expired(void **state)
{
	(void)state;
	write_image("a.png", 5);
	assert_false(fetch_found("a.png", 5));
	write_image("a.png", 6);
	pause_ns(FRESH_NS);
	assert_false(fetch_found("a.png", 6));
}

/* Asking for another image is enough. */
static void what_changed_is_taken_out_when_the_server_learns_of_it(void **state)
{
	(void)state;
	write_image("a.png", 5);
	write_image("b.png", 7);
	assert_false(fetch_found("a.png", 5));
	assert_false(fetch_found("b.png", 7));
	write_image("a.png", 6);
	write_image("c.png", 8);
	assert_false(fetch_found("c.png", 8));
	assert_false(fetch_found("a.png", 6));
}

static void what_makes_way_is_found_no_more_and_what_is_held_stays(void **state)
{
	struct shmsem_image held;
	struct shmsem_error error;
	uint8_t before;
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < 80; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(name, 5000 + i);
	}
	assert_false(fetch_found("0.png", 5000));
	assert_true(fetch_found("0.png", 5000));
	assert_int_equal(served_fetch(&served, "0.png", &held, &error), 0);
	before = *(const uint8_t *)held.pixels;
	for (uint32_t i = 1; i < 80; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		assert_false(fetch_found(name, 5000 + i));
		assert_true(fetch_found(name, 5000 + i));
	}
	assert_true(served.server->store.evictions > 20);
	assert_int_equal(*(const uint8_t *)held.pixels, before);
	assert_false(fetch_found("1.png", 5001));
	shmsem_release(&held);
	/* Held, it was never given up, though not found meanwhile perhaps. */
	fetch_found("0.png", 5000);
}

/* As a simulated LRU does it that has room for as many; all images are of one size. */
struct simulated {
	uint32_t order[64]; /* the most recently used one first */
	unsigned count, room, misses;
};

static void simulate(struct simulated *lru, uint32_t image)
{
	unsigned at = 0;

	while (at < lru->count && lru->order[at] != image)
		at++;
	if (at == lru->count) {
		lru->misses++;
		lru->count += lru->count < lru->room;
		at = lru->count - 1;
	}
	memmove(lru->order + 1, lru->order, at * sizeof *lru->order);
	lru->order[0] = image;
}

#define IMAGES 120
#define DRAWS  3000

/* Zipf's law: the k-th of them 1/k as often as the first. */
static uint32_t draw(uint64_t *seed)
{
	double sum = 0, wanted;

	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	for (int i = 0; i < IMAGES; i++)
		sum += 1.0 / (i + 1);
	wanted = (double)(*seed >> 11) / (double)(UINT64_C(1) << 53) * sum;
	for (uint32_t i = 0; i < IMAGES - 1; i++) {
		wanted -= 1.0 / (i + 1);
		if (wanted < 0)
			return i;
	}
	return IMAGES - 1;
}

/* Each is fetched more often than a seat has notes for. */
static void what_is_found_counts_as_used(void **state)
{
	struct simulated lru = {0};
	uint64_t seed = 1, decodes;
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < IMAGES; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(name, 5000 + i);
	}
	for (uint32_t i = 0; i < IMAGES; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		fetch_found(name, 5000 + i);
		if (served.server->store.ready.count > lru.room)
			lru.room = (unsigned)served.server->store.ready.count;
	}
	assert_in_range(lru.room, IMAGES / 12, IMAGES / 8);
	decodes = atomic_load(
		&head_server(&served.server->objects.head)->counters[WIRE_COUNT_DECODES]);
	for (int i = 0; i < DRAWS; i++) {
		uint32_t image = draw(&seed);

		simulate(&lru, image);
		snprintf(name, sizeof name, "%u.png", image);
		for (int again = 0; again <= WIRE_NOTES; again++)
			fetch_found(name, 5000 + image);
	}
	decodes =
		atomic_load(
			&head_server(&served.server->objects.head)->counters[WIRE_COUNT_DECODES]) -
		decodes;
	print_message("%d draws, room for %u of %d: %u misses, %u of a simulated LRU\n", DRAWS,
		lru.room, IMAGES, (unsigned)decodes, lru.misses);
	assert_true(decodes <= lru.misses + DRAWS / 100);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_stored_image_is_found_until_it_expires, set_up, stop_stored),
		cmocka_unit_test_setup_teardown(
			a_changed_file_is_seen_once_its_entry_has_expired, set_up, stop_stored),
		cmocka_unit_test_setup_teardown(
			what_changed_is_taken_out_when_the_server_learns_of_it, set_up_large,
			stop_stored),
		cmocka_unit_test_setup_teardown(
			what_makes_way_is_found_no_more_and_what_is_held_stays, set_up_small,
			stop_stored),
		cmocka_unit_test_setup_teardown(
			one_file_under_many_names_and_options, set_up_large, stop_stored),
		cmocka_unit_test_setup_teardown(
			what_is_found_counts_as_used, set_up_small, stop_stored),
		cmocka_unit_test_setup_teardown(the_table_grows, set_up_large, stop_stored),
	};

	served_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
