/*
 * The index: from a name and options to the image that the server has for them. The server writes
 * it, requesters read it without asking anybody.
 *
 * A requester believes what it read if the sequence word did not change from before it looked until
 * after it wrote its hold. The server changes the word before it changes anything, and looks at the
 * holds after that: either the requester sees the new word, or the server sees the hold.
 */
#pragma once

#include "base/error.h"
#include "exchange/wire_index.h"
#include "shm/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What of a ring a requester looks at. */
struct index_ring {
	const _Atomic uint32_t *flags, *head, *tail;
	const struct wire_ring_mark *mark;
};

/* An INDEX that is mapped. What never changes was checked once, and is not read from it again. */
struct index {
	struct segment segment;
	int guard;         /* its number in guard.h, or -1 */
	size_t page;       /* as in HEAD */
	uint64_t instance; /* of the server */
	uint64_t key[2];
	uint64_t table, entries; /* for the server: where it writes */
	uint64_t sequence;       /* for the server: what it wrote last */
	bool shut;               /* for the server: the word stays odd */
	bool probe;              /* for requesters: WIRE_INDEX_PROBE */
	unsigned rings;
	struct index_ring ring[WIRE_RINGS_MAX];
};

#define INDEX_NONE ((struct index){.segment = SEGMENT_NONE, .guard = -1})

/* What is looked up. Options are compared as they are. */
struct index_key {
	const char *name;
	size_t length;
	struct wire_options options;
};

/* What is found. */
struct index_answer {
	struct wire_answer answer;
	uint64_t words[4];
	uint64_t until; /* as in an entry */
	uint64_t place; /* of the entry, when it was found */
};

/* Whether the pages of the rings are those that were made for them. What was read there before this
 * call is true then. */
static inline bool index_rings_whole(const struct index *index)
{
	bool whole = true;

	/* With acquire loads before: those of the marks come after them. */
	for (unsigned i = 0; i < index->rings; i++) {
		const volatile struct wire_ring_mark *mark = index->ring[i].mark;

		whole &= mark->magic == WIRE_RING_MAGIC && mark->instance == index->instance;
	}
	return whole;
}

static inline struct wire_index *index_header(const struct index *index)
{
	return (struct wire_index *)(void *)index->segment.base;
}

/* What a ring's offsets lead to. */
static inline struct index_ring index_ring_at(
	const struct index *index, const struct wire_ring *offsets)
{
	const uint8_t *base = index->segment.base;

	return (struct index_ring){
		.flags = (const _Atomic uint32_t *)(const void *)(base + offsets->flags),
		.head = (const _Atomic uint32_t *)(const void *)(base + offsets->head),
		.tail = (const _Atomic uint32_t *)(const void *)(base + offsets->tail),
		.mark = (const struct wire_ring_mark *)(const void *)(base + offsets->mark)};
}

/* ---- for the server, one thread at a time ---- */

/* Writes the header of a new, empty index with a table of `entries` (a power of two) behind the
 * pages of `rings` into a mapped segment of zero bytes. `index->segment` is set, the rest is filled
 * in. Where the rings are, and whose they are (`owner`), has still to be said. */
void index_init(
	struct index *index, size_t page, uint64_t instance, uint64_t entries, unsigned rings);

/* Says where a ring is, and marks its page. */
void index_set_ring(struct index *index, unsigned number, const struct wire_ring *offsets);

/* Whether header and marks, with all rings set, are as they were written. */
bool index_whole(const struct index *index);

/*
 * Everything that is changed is changed between these two. When index_end has returned, no look-up
 * that is still under way gets what was taken out, but it may hold it: only holds that are collected
 * after this call count.
 */
void index_begin(struct index *index);
void index_end(struct index *index);

/* As from index_begin on, until index_end is called with `shut` false: nothing is found. */
void index_shut(struct index *index);

/* Another table, already filled, between index_begin and index_end. */
void index_move(struct index *index, uint64_t table, uint64_t entries);

/* The hash of a key, and the places for it in the table, by number: WIRE_INDEX_PROBES of them. */
uint64_t index_hash(const struct index *index, const struct index_key *key);

static inline uint64_t index_place(const struct index *index, uint64_t hash, unsigned probe)
{
	return (hash + probe) & (index->entries - 1);
}

/* Writes and empties a place of the table, between index_begin and index_end. */
void index_write(struct index *index, uint64_t place, uint64_t hash, const struct index_key *key,
	const struct index_answer *answer);
void index_erase(struct index *index, uint64_t place);

/* Copies an entry to a place of a table that nobody looks at yet. */
void index_copy(struct index *index, uint64_t place, const struct index *from, uint64_t from_place);

/* Makes the key lead to that answer, between index_begin and index_end. False if there is no place
 * for it: nothing is changed then. */
bool index_put(struct index *index, const struct index_key *key, const struct index_answer *answer);

/* Takes the key out, between index_begin and index_end; one that is not there is ignored. */
void index_remove(struct index *index, const struct index_key *key);

/* ---- for requesters ---- */

/*
 * Opens the INDEX of that server, which has that page size and reserve, and checks its header.
 * STATUS_NOT_FOUND if there is none; STATUS_BAD_DATA if it is not that server's. index_release()
 * when done.
 */
int index_open(const char *name, size_t page, uint64_t reserve, uint64_t instance, bool guarded,
	struct index *ret, struct error *err);
void index_release(struct index *index);

/* What index_find says. */
enum index_found {
	INDEX_FOUND,
	INDEX_MISSING, /* not there, or in no state to be believed: ask the server */
	INDEX_CHANGED, /* while it was read: look again */
};

/*
 * Copies the answer for the key, and writes the image's number to the hold word `hold`, which the
 * caller has to itself. Unless the result is INDEX_FOUND, the hold word is 0 again.
 */
enum index_found index_find(struct index *index, const struct index_key *key,
	_Atomic uint64_t *hold, struct index_answer *ret);
