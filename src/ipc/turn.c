#include "ipc/turn.h"

#include "base/clock.h"
#include "ipc/lock.h"
#include "ipc/semaphore.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_TURN_NS  (100 * NS_PER_MS)
#define DRAIN_MOST    256
#define STORM_REST_NS NS_PER_MS

/* Wake-ups in a row without a request, after which they are a storm. */
#define STORM_WAKES 16

bool turn_requested(const struct head *head, unsigned seat, uint64_t *ret_sequence)
{
	uint64_t turn = atomic_load_explicit(&head_seat(head, seat)->turn, memory_order_acquire);

	*ret_sequence = WIRE_SEQUENCE(turn);
	return WIRE_STATE(turn) == WIRE_REQUESTED;
}

bool turn_take(const struct head *head, unsigned seat, uint64_t sequence, struct turn *ret)
{
	uint64_t expected = WIRE_TURN(sequence, WIRE_REQUESTED), length;
	struct wire_seat *page = head_seat(head, seat);

	if (!atomic_compare_exchange_strong(
		    &page->turn, &expected, WIRE_TURN(sequence, WIRE_TAKEN)))
		return false;
	ret->seat = seat;
	ret->sequence = sequence;
	wire_copy(&ret->request, &page->request, sizeof ret->request);
	length = ret->request.length;
	if (length > WIRE_NAME_MAX)
		length = 0;
	wire_copy(ret->name, page->name, length);
	ret->name[length] = '\0';
	return true;
}

int turn_check(const struct turn *turn, struct error *err)
{
	const struct wire_options *options = &turn->request.options;
	uint32_t operation = turn->request.operation;

	if (turn->request.length > WIRE_NAME_MAX || memchr(turn->name, '\0', turn->request.length))
		return error_set(err, STATUS_USAGE, "the name is damaged");
	if (operation > WIRE_NAMES)
		return error_set(err, STATUS_USAGE, "this server knows no operation %u", operation);
	if (turn->request.hold >= WIRE_HOLDS)
		return error_set(err, STATUS_USAGE, "there is no hold word %u", turn->request.hold);
	if (options->scale > 8 || (options->scale & (options->scale - 1)) ||
		options->channels > 4 || options->channels == 2 ||
		options->layout > WIRE_LAYOUT_MOST)
		return error_set(err, STATUS_USAGE, "the options are not possible");
	if (!turn->request.length && (operation == WIRE_GET || operation == WIRE_INFO))
		return error_set(err, STATUS_USAGE, "the name is empty");
	return STATUS_OK;
}

void turn_text(struct wire_seat *page, struct wire_answer *answer, const char *text, size_t length)
{
	if (length > WIRE_TEXT_SIZE)
		length = WIRE_TEXT_SIZE;
	memcpy(page->text, text, length);
	answer->text_length = (uint32_t)length;
}

void turn_fail(const struct head *head, unsigned seat, const struct error *failure)
{
	struct wire_answer answer = {.status = (uint32_t)failure->status};
	struct wire_seat *page = head_seat(head, seat);

	for (int i = 0; i < 4; i++)
		atomic_store_explicit(&page->words[i], 0, memory_order_relaxed);
	turn_text(page, &answer, failure->text, strlen(failure->text));
	memcpy(&page->answer, &answer, sizeof answer);
	atomic_fetch_add_explicit(
		&head_seat_counters(head, seat)->failures, 1, memory_order_relaxed);
}

bool turn_complete(
	const struct head *head, unsigned seat, uint64_t sequence, uint32_t hold, uint64_t image)
{
	struct wire_seat *page = head_seat(head, seat);
	uint64_t expected = WIRE_TURN(sequence, WIRE_TAKEN);
	bool wanted;

	if (image)
		atomic_store_explicit(&page->holds[hold], image, memory_order_relaxed);
	wanted = atomic_compare_exchange_strong(
		&page->turn, &expected, WIRE_TURN(sequence, WIRE_ANSWERED));
	if (!wanted && image)
		atomic_compare_exchange_strong(&page->holds[hold], &image, 0);
	atomic_fetch_add_explicit(
		&head_server(head)->counters[WIRE_COUNT_REQUESTS], 1, memory_order_relaxed);
	return wanted;
}

static bool spin_for_request(
	const struct spin *spin, const atomic_bool *stopping, turn_look *look, void *context)
{
	uint64_t until = spin_until(spin);
	bool found = false;

	while (until && !atomic_load_explicit(stopping, memory_order_relaxed)) {
		for (int i = 0; i < 64 && !found; i++) {
			found = look(context);
			spin_pause();
		}
		if (found || clock_now() >= until)
			break;
	}
	return found;
}

bool turn_await(struct turn_wait *wait, const atomic_bool *stopping, uint64_t deadline,
	turn_look *look, void *context)
{
	bool found, woken;
	uint64_t begin;

	if (spin_for_request(&wait->spin, stopping, look, context)) {
		spin_learn(&wait->spin, 0);
		return true;
	}
	if (semaphore_drain(wait->request, DRAIN_MOST) == DRAIN_MOST)
		semaphore_reset(wait->request);
	if (look(context))
		return true;
	begin = clock_now();
	woken = semaphore_wait(
		wait->request, deadline < begin + WAIT_TURN_NS ? deadline : begin + WAIT_TURN_NS);
	/* What somebody has done to it, to its count of waiters even, is put right. */
	if (!woken)
		semaphore_reset(wait->request);
	found = look(context);
	spin_learn(&wait->spin, clock_now() - begin);
	wait->idle_wakes = woken && !found ? wait->idle_wakes + 1 : 0;
	if (wait->idle_wakes > STORM_WAKES) {
		/* Somebody posts what nobody asked: rest between two looks instead of running after
		 * every post. */
		struct timespec rest = clock_timespec(STORM_REST_NS);

		nanosleep(&rest, NULL);
		found = look(context);
	}
	return found;
}

size_t turn_names(const char *names, size_t size, const char *last, char text[WIRE_TEXT_SIZE])
{
	size_t used = 0;

	for (const char *at = names; at < names + size; at += strlen(at) + 1) {
		size_t length = strlen(at) + 1;

		if (strcmp(at, last) <= 0)
			continue;
		if (used + length > WIRE_TEXT_SIZE)
			break;
		memcpy(text + used, at, length);
		used += length;
	}
	return used;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static size_t page_words(const struct head *head, unsigned seat, uint64_t numbers[WIRE_HOLDS])
{
	size_t count = 0;

	for (size_t i = 0; i < WIRE_HOLDS; i++) {
		uint64_t number = atomic_load(&head_seat(head, seat)->holds[i]);

		if (number)
			numbers[count++] = number;
	}
	return count;
}

bool held_collect(const struct head *head, held_words *words, const void *context, struct held *ret)
{
	size_t room = (size_t)head->seats * WIRE_HOLDS, count = 0;
	uint64_t *numbers = malloc(room * sizeof *numbers);

	if (!numbers)
		return false;
	for (unsigned seat = 0; seat < head->seats; seat++) {
		size_t held = words ? words(context, seat, numbers + count)
				    : page_words(head, seat, numbers + count);

		if (held && lock_held(head->segment.fd, wire_seat_lock(seat), 1) != 0)
			count += held;
	}
	qsort(numbers, count, sizeof *numbers, compare_numbers);
	*ret = (struct held){.numbers = numbers, .count = count};
	return true;
}

bool held_contains(const struct held *held, uint64_t number)
{
	return held->count &&
	       bsearch(&number, held->numbers, held->count, sizeof *held->numbers, compare_numbers);
}
