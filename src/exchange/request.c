#include "exchange/request.h"

#include "shm/lock.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

void request_read(
	const struct head *head, unsigned seat, uint64_t sequence, struct seat_request *ret)
{
	const struct wire_seat *page = head_seat(head, seat);
	uint64_t length;

	ret->seat = seat;
	ret->sequence = sequence;
	ret->taken = false;
	wire_copy(&ret->request, &page->request, sizeof ret->request);
	/* Where the answer will be noted, which the other side has written last. */
	if (ret->request.operation == WIRE_GET)
		__builtin_prefetch(head_hold(head, seat, ret->request.hold % WIRE_HOLDS), 1);
	length = ret->request.length;
	if (length > WIRE_NAME_MAX)
		length = 0;
	wire_copy(ret->name, page->name, length);
	ret->name[length] = '\0';
}

bool request_take(const struct head *head, struct seat_request *received)
{
	uint64_t expected = WIRE_STATE_WORD(received->sequence, WIRE_REQUESTED);

	received->taken = atomic_compare_exchange_strong(
		&head_seat(head, received->seat)->state_word, &expected,
		WIRE_STATE_WORD(received->sequence, WIRE_TAKEN));
	return received->taken;
}

/* Whether the options are those of this version; what it does not know is zero. */
static bool options_known(const struct wire_options *options)
{
	static const struct wire_options none;

	return !memcmp(options->image.reserved, none.image.reserved, sizeof none.image.reserved) &&
	       !memcmp(options->reserved, none.reserved, sizeof none.reserved);
}

int request_check(const struct seat_request *received, struct error *err)
{
	const struct wire_options *options = &received->request.options;
	uint32_t operation = received->request.operation;

	if (received->request.length > WIRE_NAME_MAX ||
		memchr(received->name, '\0', received->request.length))
		return error_set(err, STATUS_USAGE, "the name is damaged");
	if (operation > WIRE_PREFETCH)
		return error_set(err, STATUS_USAGE, "this server knows no operation %u", operation);
	if (received->request.hold >= WIRE_HOLDS)
		return error_set(
			err, STATUS_USAGE, "there is no hold word %u", received->request.hold);
	if (image_options_check(&options->image, err))
		return STATUS_USAGE;
	if (!options_known(options))
		return error_set(err, STATUS_USAGE, "this server does not know all of the options");
	if (!received->request.length && (operation == WIRE_GET || operation == WIRE_INFO))
		return error_set(err, STATUS_USAGE, "the name is empty");
	return STATUS_OK;
}

void request_put_text(
	struct wire_seat *page, struct wire_answer *answer, const char *text, size_t length)
{
	if (length > WIRE_TEXT_SIZE)
		length = WIRE_TEXT_SIZE;
	memcpy(page->text, text, length);
	answer->text_length = (uint32_t)length;
}

/* Writes what differs: a cache line that stays as it is need not go to the other side again. */
static void put(void *shared, const void *private, size_t size)
{
	if (memcmp(shared, private, size) != 0)
		memcpy(shared, private, size);
}

void request_put_answer(const struct head *head, unsigned seat, const uint64_t words[4],
	const struct wire_answer *answer)
{
	struct wire_seat *page = head_seat(head, seat);
	const char *from = (const char *)answer;
	char *to = (char *)&page->answer;

	for (int i = 0; i < 4; i++)
		if (atomic_load_explicit(&page->words[i], memory_order_relaxed) != words[i])
			atomic_store_explicit(&page->words[i], words[i], memory_order_relaxed);
	for (size_t at = 0; at < sizeof *answer; at += CACHE_LINE)
		put(to + at, from + at, CACHE_LINE);
}

void request_put_failure(const struct head *head, unsigned seat, const struct error *failure)
{
	struct wire_answer answer = {.status = (uint32_t)failure->status};

	request_put_text(head_seat(head, seat), &answer, failure->text, strlen(failure->text));
	request_put_answer(head, seat, (const uint64_t[4]){0}, &answer);
	wire_count(&head_seat_counters(head, seat)->failures, 1);
}

bool request_complete(const struct head *head, const struct seat_request *received, uint64_t image)
{
	struct wire_seat *page = head_seat(head, received->seat);
	unsigned index = received->request.hold % WIRE_HOLDS;
	_Atomic uint64_t *hold = head_hold(head, received->seat, index);
	uint64_t expected = WIRE_STATE_WORD(
		received->sequence, received->taken ? WIRE_TAKEN : WIRE_REQUESTED);
	bool wanted;

	if (image) {
		uint64_t none = 0;

		head_raise_mark(head, received->seat, index);
		/* A requester that waits has cleared the word. One that has given up may hold there
		 * what it found in INDEX since. */
		atomic_compare_exchange_strong(hold, &none, image);
	}
	wanted = atomic_compare_exchange_strong(
		&page->state_word, &expected, WIRE_STATE_WORD(received->sequence, WIRE_ANSWERED));
	if (!wanted && image)
		atomic_compare_exchange_strong(hold, &image, 0);
	atomic_fetch_add_explicit(
		&head_server(head)->counters[WIRE_COUNT_REQUESTS], 1, memory_order_relaxed);
	return wanted;
}

static bool take_if_pending(
	const struct head *head, unsigned seat, request_take_from *take, void *context)
{
	uint64_t sequence;

	return request_pending(head, seat, &sequence) && take(context, seat);
}

bool request_note_pending(const struct head *head)
{
	uint64_t sequence;
	bool any = false;

	for (unsigned seat = 0; seat < head->seats; seat++)
		if (request_pending(head, seat, &sequence)) {
			head_note_request(head, seat);
			any = true;
		}
	return any;
}

static bool scan_all(const struct head *head, unsigned last, request_take_from *take, void *context)
{
	for (unsigned i = 1; i <= head->seats; i++)
		if (take_if_pending(head, (last + i) % head->seats, take, context))
			return true;
	return false;
}

/* The seats of one word of the bitmap whose bits are in `mask`. */
static bool scan_word(const struct head *head, unsigned word, uint64_t mask, unsigned last,
	request_take_from *take, void *context)
{
	_Atomic uint64_t *asking = &head_server(head)->asking[word];
	uint64_t bits = atomic_load_explicit(asking, memory_order_relaxed) & mask, sequence;

	for (; bits; bits &= bits - 1) {
		uint64_t bit = bits & -bits;
		unsigned seat = word * 64 + (unsigned)__builtin_ctzll(bits);

		if (seat >= head->seats)
			break;
		if (request_pending(head, seat, &sequence)) {
			if (take(context, seat))
				return true;
			continue;
		}
		/* The requester served last is likely to ask again: its bit stays, which saves both
		 * sides a transfer of the cache line. A request that comes while the bit is cleared
		 * is either seen now, or its requester sees the bit cleared and sets it. */
		if (seat == last)
			continue;
		atomic_fetch_and(asking, ~bit);
		if (!request_pending(head, seat, &sequence))
			continue;
		atomic_fetch_or(asking, bit);
		if (take(context, seat))
			return true;
	}
	return false;
}

bool request_scan(
	const struct head *head, unsigned last, bool all, request_take_from *take, void *context)
{
	unsigned words = (head->seats + 63) / 64, first = last / 64 % words;
	uint64_t behind = ~UINT64_C(1) << last % 64;

	if (all)
		return scan_all(head, last, take, context);
	if (scan_word(head, first, behind, last, take, context))
		return true;
	for (unsigned i = 1; i < words; i++)
		if (scan_word(head, (first + i) % words, UINT64_MAX, last, take, context))
			return true;
	return scan_word(head, first, ~behind, last, take, context);
}

/* By bisection: each is where a NUL or the list ends. */
size_t request_names_behind(const char *names, size_t size, const char *last)
{
	size_t from = 0, to = size;

	while (from < to) {
		size_t at = from + (to - from) / 2;

		while (at > from && names[at - 1])
			at--;
		if (strcmp(names + at, last) <= 0)
			from = at + strlen(names + at) + 1;
		else
			to = at;
	}
	return from;
}

size_t request_names(const char *names, size_t size, const char *last, char text[WIRE_TEXT_SIZE])
{
	const char *at = names + request_names_behind(names, size, last), *end = names + size;
	size_t used = 0;

	for (size_t length; at < end; at += length, used += length) {
		length = strlen(at) + 1;
		if (used + length > WIRE_TEXT_SIZE)
			break;
		memcpy(text + used, at, length);
	}
	return used;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The numbers in the words of a seat; their count. */
static size_t seat_words(const struct head *head, unsigned seat, uint64_t *numbers)
{
	size_t mark = head_holds_mark(head, seat), count = 0;

	for (size_t i = 0; i < mark; i++) {
		/* Acquire: what is read after this, the magic of the page, was true then. */
		uint64_t number = atomic_load_explicit(
			head_hold(head, seat, i), memory_order_acquire);

		if (number)
			numbers[count++] = number & ~WIRE_HOLD_FOUND;
	}
	return count;
}

/* Room for a further seat's numbers. */
static bool held_grow(struct held *held, size_t *room)
{
	uint64_t *grown;

	if (*room - held->count >= WIRE_HOLDS)
		return true;
	*room = 2 * *room + WIRE_HOLDS;
	grown = realloc(held->numbers, *room * sizeof *grown);
	if (grown)
		held->numbers = grown;
	return grown;
}

/* How many seats, from the first one on, have been taken so far, or a few more: the kernel knows.
 * On those behind them nobody holds anything. */
static unsigned seats_taken(struct head *head)
{
	uint64_t end = head_seat_lock(head, head->seats);

	while (head->taken < head->seats) {
		uint64_t begin = head_seat_lock(head, head->taken);

		if (lock_held(head->segment.fd, begin, end - begin) == 0)
			break;
		head->taken = 2 * head->taken + 1;
	}
	return head->taken < head->seats ? head->taken : head->seats;
}

bool held_collect(struct head *head, struct held *ret)
{
	/* Who takes a further seat now cannot begin to hold what our caller asks about. */
	unsigned seats = seats_taken(head);
	struct held held = {0};
	size_t room = 0;

	for (unsigned seat = 0; seat < seats; seat++) {
		size_t count;

		if (!held_grow(&held, &room)) {
			free(held.numbers);
			return false;
		}
		count = seat_words(head, seat, held.numbers + held.count);
		held.count += count;
		held.everything |= !head_holds_whole(head, seat);
	}
	/* Where no seat is taken there is no list. */
	if (held.count)
		qsort(held.numbers, held.count, sizeof *held.numbers, compare_numbers);
	*ret = held;
	return true;
}

bool held_contains(const struct held *held, uint64_t number)
{
	return held->everything || (held->count && bsearch(&number, held->numbers, held->count,
							   sizeof *held->numbers, compare_numbers));
}
