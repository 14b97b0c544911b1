/*
 * HEAD, mapped: the page of each seat, the server's page, and the hold words, for either side.
 */
#pragma once

#include "base/error.h"
#include "exchange/server_user.h"
#include "exchange/wire.h"
#include "shm/segment.h"

#include <stdbool.h>

/* What is known, and has been checked, about an open HEAD. */
struct head {
	struct segment segment;
	unsigned seats, segments;
	size_t page;       /* bytes of a page in HEAD */
	uint64_t instance; /* of the server */
	uint64_t reserve;  /* bytes of address space for each data segment */
	int guard;         /* its number in guard.h, or -1 */
	int life;          /* the object that proves that the server lives (life.h); -1: HEAD */
	unsigned taken;    /* held_collect: seats behind these have not been taken so far */
};

#define HEAD_NONE \
	((struct head){.segment = SEGMENT_NONE, .page = WIRE_PAGE, .guard = -1, .life = -1})

/*
 * Opens the HEAD of a running, ready server and checks its constants. STATUS_UNAVAILABLE if there
 * is none, or its server is dead, or, with os_error EAGAIN, not ready yet; STATUS_NOT_PERMITTED if
 * it is of another user than `accepted`; STATUS_BAD_DATA if it is not a HEAD of this version.
 * head_release() when done.
 */
int head_open(const struct name_space *space, const struct server_user *accepted, bool guarded,
	struct head *ret, struct error *err);
void head_release(struct head *head);

/* Whether the server that made this HEAD lives. */
bool head_server_alive(const struct head *head);

/* Whether HEAD says of itself what it said when it was opened: it may have been overwritten then,
 * and put right since. */
bool head_as_opened(const struct head *head);

/* Whether the name still leads to this HEAD. */
bool head_current(const struct head *head, const char *name);

static inline struct wire_seat *head_seat(const struct head *head, unsigned seat)
{
	return (struct wire_seat *)(void *)(head->segment.base + seat * head->page);
}

static inline struct wire_server *head_server(const struct head *head)
{
	return (struct wire_server *)(void *)(head->segment.base +
					      wire_server_offset(head->page, head->seats));
}

/* Whether the page of a seat is the one that was made for it: somebody may have truncated HEAD, and
 * it may have grown again. */
static inline bool head_seat_whole(const struct head *head, unsigned seat)
{
	const volatile struct wire_seat *page = head_seat(head, seat);

	return page->magic == WIRE_MAGIC && page->version == WIRE_VERSION &&
	       page->seats == head->seats && page->segments == head->segments &&
	       page->page == head->page && page->instance == head->instance;
}

static inline uint64_t head_seat_lock(const struct head *head, unsigned seat)
{
	return wire_seat_lock(head->page, seat);
}

/* One of the pages with a seat's holds, the page that a hold is on, and the hold's word. */
static inline struct wire_hold_page *head_hold_page(
	const struct head *head, unsigned seat, size_t index)
{
	return (struct wire_hold_page *)(void *)(head->segment.base +
						 wire_holds_offset(head->page, head->seats, seat) +
						 index * head->page);
}

static inline _Atomic uint64_t *head_hold(const struct head *head, unsigned seat, size_t hold)
{
	size_t words = wire_page_holds(head->page);

	return &head_hold_page(head, seat, hold / words)->words[hold % words];
}

/* Where the seat's note of that number is. */
static inline _Atomic uint64_t *head_note(const struct head *head, unsigned seat, uint64_t number)
{
	return head_hold(head, seat, WIRE_HOLDS + number % WIRE_NOTES);
}

/* Whether the page that a hold is on is the one that was made for it. */
static inline bool head_hold_whole(const struct head *head, unsigned seat, size_t hold)
{
	const volatile struct wire_hold_page *page = head_hold_page(
		head, seat, hold / wire_page_holds(head->page));

	return page->magic == WIRE_HOLD_MAGIC && page->instance == head->instance;
}

/* How many of a seat's hold words may be in use, which are those from 0 on. */
static inline size_t head_holds_mark(const struct head *head, unsigned seat)
{
	/* Acquire: the side that raised the mark may have stored a word below it only afterwards. */
	uint64_t mark = atomic_load_explicit(
		&head_hold_page(head, seat, 0)->mark, memory_order_acquire);

	return mark < WIRE_HOLDS ? (size_t)mark : WIRE_HOLDS;
}

/* Raises the mark above a hold whose word is to be stored. */
void head_raise_mark(const struct head *head, unsigned seat, size_t hold);

/* Whether all pages with the seat's holds are those that were made for them: then what was read
 * there before this call is true. */
bool head_holds_whole(const struct head *head, unsigned seat);

/* Writes the constants of the seat's holds, and voids all of them. For the holder of the seat. */
void head_void_holds(const struct head *head, unsigned seat);

static inline struct wire_seat_counters *head_seat_counters(const struct head *head, unsigned seat)
{
	return (struct wire_seat_counters *)(void *)(head->segment.base +
						     wire_seat_counters_offset(
							     head->page, head->seats)) +
	       seat;
}

/* Sets the seat's bit in the server's page: its state word, stored before, has a request. */
static inline void head_note_request(const struct head *head, unsigned seat)
{
	_Atomic uint64_t *asking = &head_server(head)->asking[seat / 64];
	uint64_t bit = UINT64_C(1) << seat % 64;

	if (!(atomic_load(asking) & bit))
		atomic_fetch_or(asking, bit);
}
