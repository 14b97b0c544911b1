/*
 * A request as the responder handles it: take it, check the copy, answer it. And the images that
 * requesters hold, whose room must not be used again.
 */
#pragma once

#include "base/error.h"
#include "exchange/head.h"
#include "exchange/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A private copy of a request. */
struct seat_request {
	unsigned seat;
	uint64_t sequence;
	bool taken; /* the page says TAKEN, not REQUESTED any more */
	struct wire_request request;
	char name[WIRE_NAME_MAX + 1]; /* terminated; empty if the length is impossible */
};

/* The sequence number of the request that stands in the seat, if one does. */
static inline bool request_pending(const struct head *head, unsigned seat, uint64_t *ret_sequence)
{
	uint64_t state_word = atomic_load_explicit(
		&head_seat(head, seat)->state_word, memory_order_acquire);

	*ret_sequence = WIRE_SEQUENCE(state_word);
	return WIRE_STATE(state_word) == WIRE_REQUESTED;
}

/* Copies that request. It may be withdrawn meanwhile; then the copy is of no use, and the
 * next two functions say so. */
void request_read(
	const struct head *head, unsigned seat, uint64_t sequence, struct seat_request *ret);

/*
 * Takes the request up, which is for what is not answered at once: an answer that follows without
 * delay needs no such note, and the requester's cache keeps the line it spins on. False if it was
 * withdrawn.
 */
bool request_take(const struct head *head, struct seat_request *received);

/* What a requester may write into its page is checked here, before anything else looks at it.
 * STATUS_USAGE. */
int request_check(const struct seat_request *received, struct error *err);

/* Puts a text into an answer, truncated to what fits. */
void request_put_text(
	struct wire_seat *page, struct wire_answer *answer, const char *text, size_t length);

/* Writes the answer, but for request_complete; `words` are those of the classic exchange. */
void request_put_answer(const struct head *head, unsigned seat, const uint64_t words[4],
	const struct wire_answer *answer);

/* The same for a failure. */
void request_put_failure(const struct head *head, unsigned seat, const struct error *failure);

/*
 * Completes an answer that was written, and makes the requester hold the image numbered `image` (0:
 * none). A requester that withdrew, died or was replaced has another state word by now: then this
 * answer is dropped, holds nothing, and the result is false. Otherwise post its semaphore.
 */
bool request_complete(const struct head *head, const struct seat_request *received, uint64_t image);

/* Takes the request of a seat up, which seems to have one; false if there is nothing to take. */
typedef bool request_take_from(void *context, unsigned seat);

/* Notes of all seats that have a request that they ask; whether any does. In any thread. */
bool request_note_pending(const struct head *head);

/*
 * Calls `take` for the seats that ask, beginning behind the seat `last`, until it takes a request.
 * With `all`, for all seats that have one: bits of HEAD that say who asks may have been lost.
 */
bool request_scan(
	const struct head *head, unsigned last, bool all, request_take_from *take, void *context);

/* Where the first of the names (each ended by a NUL, in order) is that comes behind `last`. */
size_t request_names_behind(const char *names, size_t size, const char *last);

/* Fills `text` with those of the names (each ended by a NUL, in order) that come after `last`; the
 * bytes used. */
size_t request_names(const char *names, size_t size, const char *last, char text[WIRE_TEXT_SIZE]);

/* The numbers in the hold words of all seats, sorted. */
struct held {
	uint64_t *numbers;
	size_t count;
	bool everything; /* the holds of one of the seats are damaged: they may be any */
	uint64_t moment; /* the caller's: when they were collected */
};

/*
 * Nobody must be able to begin to hold what the caller asks about; that somebody lets go is no
 * harm. Words of requesters that have died count until seats_reclaim. False when out of memory;
 * free ret->numbers. For one thread at a time.
 */
bool held_collect(struct head *head, struct held *ret);
bool held_contains(const struct held *held, uint64_t number);
