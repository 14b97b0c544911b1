/* Which seats the responder looks at, those whose bits say that they ask; requests whose posts are
 * lost; a page of names; which images an answer can describe. */
#include "test.h"

#include "exchange/image_answer.h"
#include "exchange/request.h"
#include "exchange/serving.h"
#include "shm/semaphore.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEATS     200
#define HEAD_SIZE wire_head_size(WIRE_PAGE, SEATS)

/* The seats that were tried, in order; all but one of them are passed over. */
struct tried {
	unsigned seats[SEATS], count;
	unsigned wanted;
};

static bool take(void *context, unsigned seat)
{
	struct tried *tried = context;

	tried->seats[tried->count++] = seat;
	return seat == tried->wanted;
}

static int make_head(void **state)
{
	struct head *head = calloc(1, sizeof *head);
	size_t size = HEAD_SIZE;

	*head = HEAD_NONE;
	head->seats = SEATS;
	head->segment.base = aligned_alloc(4096, size);
	memset(head->segment.base, 0, size);
	*state = head;
	return 0;
}

static int free_head(void **state)
{
	struct head *head = *state;

	free(head->segment.base);
	free(head);
	return 0;
}

static void ask(const struct head *head, unsigned seat)
{
	atomic_store(&head_seat(head, seat)->state_word, WIRE_STATE_WORD(1, WIRE_REQUESTED));
}

static void only_seats_that_ask_are_looked_at_behind_the_last_one_first(void **state)
{
	static const unsigned asking[] = {3, 63, 64, 65, 130, 199};
	static const unsigned expected[] = {65, 130, 199, 3, 63, 64};
	struct tried tried = {.wanted = SEATS};
	struct head *head = *state;

	for (size_t i = 0; i < 6; i++) {
		ask(head, asking[i]);
		head_note_request(head, asking[i]);
	}
	assert_false(request_scan(head, 64, false, take, &tried));
	assert_int_equal(tried.count, 6);
	assert_memory_equal(tried.seats, expected, sizeof expected);
	tried = (struct tried){.wanted = 199};
	assert_true(request_scan(head, 64, false, take, &tried));
	assert_int_equal(tried.count, 3);
}

static void a_request_without_its_bit_is_found_among_all(void **state)
{
	struct tried tried = {.wanted = 77};
	struct head *head = *state;

	ask(head, 77);
	assert_false(request_scan(head, 5, false, take, &tried));
	assert_int_equal(tried.count, 0);
	assert_true(request_scan(head, 5, true, take, &tried));
	assert_int_equal(tried.count, 1);
}

static void bits_of_seats_that_ask_no_more_are_cleared_but_for_the_last(void **state)
{
	struct tried tried = {.wanted = SEATS};
	struct head *head = *state;
	_Atomic uint64_t *asking = head_server(head)->asking;

	head_note_request(head, 2);
	head_note_request(head, 9);
	ask(head, 70);
	head_note_request(head, 70);
	/* Of no seat: somebody has written it. */
	atomic_fetch_or(&asking[3], UINT64_C(1) << 60);
	assert_false(request_scan(head, 9, false, take, &tried));
	assert_int_equal(tried.count, 1);
	assert_int_equal(asking[0], 1 << 9);
	assert_int_equal(asking[1], 1 << (70 - 64));
}

static struct seat_request *place(void *context, unsigned seat)
{
	static struct seat_request received;

	(void)context;
	received.seat = seat;
	return &received;
}

/* Waits as a server does that nobody has asked for long. */
static void *await(void *serving)
{
	return serving_await(serving, DEADLINE_NEVER);
}

/* Whether a thread sleeps on the semaphore: the kernel moves it to another word, and back. */
static bool sleeps(sem_t *semaphore)
{
	uint32_t *word = (uint32_t *)(void *)semaphore, elsewhere = 0;
	long moved = syscall(SYS_futex, word, FUTEX_CMP_REQUEUE, 0L, 1L, &elsewhere, 0L);

	assert_true(moved >= 0);
	if (moved)
		assert_int_equal(
			syscall(SYS_futex, &elsewhere, FUTEX_CMP_REQUEUE, 0L, 1L, word, 0L), 1);
	return moved;
}

static void a_request_whose_post_was_lost_ends_the_wait(void **state)
{
	static const struct serving_calls calls = {.place = place};
	struct server_objects objects = {.head = *(struct head *)*state};
	struct serving serving;
	sem_t semaphore;
	pthread_t thread;
	void *found;

	sem_init(&semaphore, 1, 0);
	objects.request = &semaphore;
	serving_init(&serving, &objects, &calls, NULL, NULL, 3600 * NS_PER_SECOND);
	serving.fruitless = 1000;
	serving_remind(&serving);
	assert_false(semaphore_try(&semaphore));
	assert_int_equal(pthread_create(&thread, NULL, await, &serving), 0);
	/* The upper half of the word is the number of those who sleep on it. */
	while (!(__atomic_load_n((uint64_t *)(void *)&semaphore, __ATOMIC_SEQ_CST) >> 32))
		sched_yield();
	/* Until it sleeps; then somebody writes zeros there. */
	while (!sleeps(&semaphore))
		sched_yield();
	sem_init(&semaphore, 1, 0);
	ask(*state, 77);
	serving_remind(&serving);
	pthread_join(thread, &found);
	assert_non_null(found);
	assert_int_equal(((struct seat_request *)found)->seat, 77);
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

static void geometry_that_no_image_has_is_refused(void **state)
{
	static const struct {
		uint64_t width, height, channels;
		unsigned bits;
	} impossible[] = {
		{0, 1, 1, 8},
		{1, 0, 1, 8},
		{1, 1, 0, 8},
		{1, 1, 5, 8},
		{1, 1, 1, 0},
		{1, 1, 1, 12},
		{UINT64_C(1) << 31, 1, 1, 8},
		{1, UINT64_C(1) << 31, 1, 8},
		{UINT64_C(1) << 63, 2, 2, 8},
		{INT32_MAX, 1, 3, 8},
		{UINT64_C(1) << 29, 1, 4, 16},
	};
	uint32_t stride = 7;
	uint64_t bytes = 7;

	(void)state;
	for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
		assert_false(image_answer_geometry(impossible[i].width, impossible[i].height,
			impossible[i].channels, impossible[i].bits, &stride, &bytes));
	assert_int_equal(stride, 7);
	assert_int_equal(bytes, 7);
	assert_true(image_answer_geometry(3, 5, 4, 16, &stride, &bytes));
	assert_int_equal(stride, 24);
	assert_int_equal(bytes, 120);
	assert_true(image_answer_geometry(INT32_MAX, INT32_MAX, 2, 8, &stride, &bytes));
	assert_int_equal(stride, 2 * (uint32_t)INT32_MAX);
	assert_int_equal(bytes, UINT64_C(2) * INT32_MAX * INT32_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_head, free_head)
	const struct CMUnitTest tests[] = {
		TEST(only_seats_that_ask_are_looked_at_behind_the_last_one_first),
		TEST(a_request_without_its_bit_is_found_among_all),
		TEST(a_request_whose_post_was_lost_ends_the_wait),
		cmocka_unit_test(a_page_of_names_begins_behind_the_last_one),
		cmocka_unit_test(geometry_that_no_image_has_is_refused),
		TEST(bits_of_seats_that_ask_no_more_are_cleared_but_for_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
