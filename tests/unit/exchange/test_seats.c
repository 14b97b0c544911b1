/* HEAD with the page sizes that systems have: seats, their holds, and what others read of them. */
#include "test.h"

#include "base/clock.h"
#include "exchange/head_report.h"
#include "exchange/request.h"
#include "exchange/seats.h"
#include "exchange/server_objects.h"
#include "shm/lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEATS 3

struct scene {
	size_t page;
	struct server_objects objects;
	struct head client; /* HEAD as a requester has it open */
	unsigned seat;      /* its seat */
};

static const char *head_name(const struct scene *scene, char name[OBJECT_NAME_SIZE])
{
	return object_name(&scene->objects.options.space, OBJECT_HEAD, 0, name);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	struct server_objects_options options = {.seats = SEATS,
		.segments = 1,
		.page = *(size_t *)*state,
		.reserve = WIRE_PAGE_MAX,
		.access = {.mode = 0600, .group = (gid_t)-1}};

	scene->page = options.page;
	snprintf(options.space.text, sizeof options.space.text, "test-seats-%d", (int)getpid());
	assert_int_equal(server_objects_create(&scene->objects, &options, NULL), STATUS_OK);
	assert_int_equal(server_objects_ready(&scene->objects, NULL), STATUS_OK);
	assert_int_equal(head_open(&options.space, &SERVER_USER_OWN, false, &scene->client, NULL),
		STATUS_OK);
	assert_int_equal(seat_claim(&scene->client, 0, NULL, &scene->seat, NULL), STATUS_OK);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	head_release(&scene->client);
	server_objects_withdraw(&scene->objects);
	server_objects_release(&scene->objects);
	free(scene);
	return 0;
}

static void hold(const struct scene *scene, size_t word, uint64_t number)
{
	head_raise_mark(&scene->client, scene->seat, word);
	atomic_store(head_hold(&scene->client, scene->seat, word), number);
}

/* Each word has a place of its own, within HEAD and beside everything else. */
static void every_hold_has_a_word_of_its_own(void **state)
{
	struct scene *scene = *state;
	struct head *head = &scene->objects.head;
	struct held held;

	assert_int_equal(head->page, scene->page);
	assert_int_equal(scene->client.page, scene->page);
	for (size_t word = 0; word < WIRE_HOLDS; word++) {
		const uint8_t *at = (const uint8_t *)head_hold(head, SEATS - 1, word);

		assert_true(at >= (const uint8_t *)(head_seat_counters(head, SEATS - 1) + 1));
		assert_true(at + sizeof(uint64_t) <= head->segment.base + head->segment.size);
		hold(scene, word, 1000 + word);
	}
	assert_true(held_collect(head, &held));
	assert_int_equal(held.count, WIRE_HOLDS);
	assert_false(held.everything);
	for (size_t word = 0; word < WIRE_HOLDS; word++)
		assert_int_equal(held.numbers[word], 1000 + word);
	free(held.numbers);
	for (unsigned seat = 0; seat < SEATS; seat++) {
		assert_true(head_seat_whole(head, seat));
		assert_true(head_holds_whole(head, seat));
	}
}

static void the_next_on_a_seat_finds_nothing_held(void **state)
{
	struct scene *scene = *state;
	struct head *head = &scene->objects.head;
	size_t last = wire_hold_pages(scene->page) - 1;
	struct held held;

	hold(scene, WIRE_HOLDS - 1, 7);
	seat_release(&scene->client, scene->seat);
	assert_int_equal(head_holds_mark(head, scene->seat), 0);
	assert_int_equal(atomic_load(head_hold(head, scene->seat, WIRE_HOLDS - 1)), 0);
	assert_int_equal(seat_claim(&scene->client, 0, NULL, &scene->seat, NULL), STATUS_OK);

	hold(scene, 0, 8);
	head_hold_page(head, scene->seat, last)->magic = 0;
	assert_true(held_collect(head, &held));
	assert_true(held.everything && held_contains(&held, 12345));
	free(held.numbers);
	seat_release(&scene->client, scene->seat);
	assert_int_equal(seat_claim(&scene->client, 0, NULL, &scene->seat, NULL), STATUS_OK);
	assert_true(held_collect(head, &held));
	assert_false(held_contains(&held, 8));
	free(held.numbers);
}

/* To a request of the scene's seat, that is given up if the word is to have something else meanwhile. */
static uint64_t word_after_answer(const struct scene *scene, uint64_t meanwhile, uint64_t image)
{
	const struct head *head = &scene->client;
	struct wire_seat *page = head_seat(head, scene->seat);
	_Atomic uint64_t *word = head_hold(head, scene->seat, 0);
	uint64_t sequence = WIRE_SEQUENCE(atomic_load(&page->state_word)) + 1;
	struct seat_request received;

	page->request = (struct wire_request){.operation = WIRE_GET};
	atomic_store(word, 0);
	atomic_store(&page->state_word, WIRE_STATE_WORD(sequence, WIRE_REQUESTED));
	request_read(&scene->objects.head, scene->seat, sequence, &received);
	if (meanwhile) {
		atomic_store(&page->state_word, WIRE_STATE_WORD(sequence + 1, WIRE_IDLE));
		atomic_store(word, meanwhile);
	}
	assert_int_equal(request_complete(&scene->objects.head, &received, image), !meanwhile);
	return atomic_load(word);
}

static void an_answer_that_is_late_changes_no_hold(void **state)
{
	const struct scene *scene = *state;

	assert_int_equal(word_after_answer(scene, 0, 7), 7);
	assert_true(word_after_answer(scene, 8 | WIRE_HOLD_FOUND, 7) == (8 | WIRE_HOLD_FOUND));
	assert_true(word_after_answer(scene, 7 | WIRE_HOLD_FOUND, 7) == (7 | WIRE_HOLD_FOUND));
}

static void others_read_what_is_held(void **state)
{
	struct scene *scene = *state;
	struct head_report_seat seat;
	struct head_report report;
	char name[OBJECT_NAME_SIZE];
	int fd = shm_open(head_name(scene, name), O_RDONLY | O_CLOEXEC, 0);

	hold(scene, 0, 5);
	hold(scene, WIRE_HOLDS - 1, 6);
	assert_int_equal(head_report_read(fd, &report), 0);
	assert_true(report.native && report.ready);
	assert_int_equal(report.pid, getpid());
	assert_int_equal(head_report_read_seat(fd, &report, scene->seat, &seat), 0);
	assert_true(seat.taken);
	assert_int_equal(seat.held, 2);
	assert_int_equal(head_report_read_seat(fd, &report, SEATS - 1, &seat), 0);
	assert_false(seat.taken);
	close(fd);
}

static atomic_uint tries;

int __real_lock_take(int fd, uint64_t offset);
int __wrap_lock_take(int fd, uint64_t offset);

int __wrap_lock_take(int fd, uint64_t offset)
{
	atomic_fetch_add(&tries, 1);
	return __real_lock_take(fd, offset);
}

struct waiter {
	struct head head;
	uint64_t deadline;
	unsigned seat;
	int status;
};

static void *claim(void *context)
{
	struct waiter *waiter = context;

	waiter->status = seat_claim(&waiter->head, waiter->deadline, NULL, &waiter->seat, NULL);
	return NULL;
}

static void open_head(const struct scene *scene, struct head *ret)
{
	assert_int_equal(
		head_open(&scene->objects.options.space, &SERVER_USER_OWN, false, ret, NULL),
		STATUS_OK);
}

/* Takes all other seats. */
static void take_others(const struct scene *scene, struct head heads[SEATS - 1])
{
	unsigned seat;

	for (unsigned i = 0; i < SEATS - 1; i++) {
		open_head(scene, &heads[i]);
		assert_int_equal(seat_claim(&heads[i], 0, NULL, &seat, NULL), STATUS_OK);
	}
}

static void release_heads(struct head heads[SEATS - 1])
{
	for (unsigned i = 0; i < SEATS - 1; i++)
		head_release(&heads[i]);
}

/* Its place in the queue and each seat once, however long it waits. */
static void who_waits_for_a_seat_does_not_try_again_and_again(void **state)
{
	struct scene *scene = *state;
	struct waiter waiter = {.deadline = clock_now() + NS_PER_SECOND};
	struct head others[SEATS - 1];

	take_others(scene, others);
	open_head(scene, &waiter.head);
	atomic_store(&tries, 0);
	claim(&waiter);
	assert_int_equal(waiter.status, STATUS_TRY_AGAIN);
	assert_true(atomic_load(&tries) <= 1 + 2 * SEATS);
	head_release(&waiter.head);
	release_heads(others);
}

/* Who dies wakes nobody: the server notices, as it looks a few times a second. */
static void a_seat_whose_holder_died_goes_to_who_waits(void **state)
{
	struct scene *scene = *state;
	struct waiter waiter = {.deadline = clock_now() + 60 * NS_PER_SECOND};
	pthread_t thread;
	struct head others[SEATS - 1];

	take_others(scene, others);
	open_head(scene, &waiter.head);
	atomic_store(&tries, 0);
	assert_int_equal(pthread_create(&thread, NULL, claim, &waiter), 0);
	while (atomic_load(&tries) < 1 + SEATS)
		usleep(1000);
	head_release(&others[0]);
	assert_true(seats_remind(&scene->objects.head));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiter.status, STATUS_OK);
	head_release(&waiter.head);
	release_heads(others);
}

#define TESTS(page)                                                                           \
	cmocka_unit_test_prestate_setup_teardown(                                             \
		every_hold_has_a_word_of_its_own, set_up, tear_down, page),                   \
		cmocka_unit_test_prestate_setup_teardown(                                     \
			the_next_on_a_seat_finds_nothing_held, set_up, tear_down, page),      \
		cmocka_unit_test_prestate_setup_teardown(                                     \
			an_answer_that_is_late_changes_no_hold, set_up, tear_down, page),     \
		cmocka_unit_test_prestate_setup_teardown(                                     \
			others_read_what_is_held, set_up, tear_down, page),                   \
		cmocka_unit_test_prestate_setup_teardown(                                     \
			who_waits_for_a_seat_does_not_try_again_and_again, set_up, tear_down, \
			page),                                                                \
		cmocka_unit_test_prestate_setup_teardown(                                     \
			a_seat_whose_holder_died_goes_to_who_waits, set_up, tear_down, page)

int main(void)
{
	static size_t pages[] = {4096, 16384, 65536};
	const struct CMUnitTest tests[] = {TESTS(&pages[0]), TESTS(&pages[1]), TESTS(&pages[2])};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
