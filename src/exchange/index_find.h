/*
 * The index as requesters read it: nothing in it is believed before it was checked. What each look-up
 * does is inlined where images are fetched, the rest is in index_find.c.
 */
#pragma once

#include "base/equal.h"
#include "exchange/index.h"

/*
 * Opens the INDEX of that server, which has that page size and reserve, and checks its header.
 * STATUS_NOT_FOUND if there is none; STATUS_BAD_DATA if it is not that server's. index_release()
 * when done.
 */
int index_open(const char *name, size_t page, uint64_t reserve, uint64_t instance, bool guarded,
	struct index *ret, struct error *err);

/* The sequence word, once it is even; 0 if that is not soon. */
__attribute__((cold)) uint64_t index_await_even(const struct index *index);

/* Checks where the table is, and notes it; false if it cannot be there. */
__attribute__((cold)) bool index_use_table(struct index *index, uint64_t table, uint64_t entries);

/* Whether it is later than that. */
bool index_expired(uint64_t until);

/* Acquire: everything else is read after it. */
static inline uint64_t index_read_word(const struct index *index)
{
	return atomic_load_explicit(&index_header(index)->sequence, memory_order_acquire);
}

/* The word, even; 0 if it does not become so soon, or is no word at all. */
static inline uint64_t index_read_even(const struct index *index)
{
	uint64_t word = index_read_word(index);

	return word & 1 ? index_await_even(index) : word;
}

/* What a ring has noted, 0 if nothing. Acquire, all: the kernel clears flags and takes completions
 * away only after the word was odd, so a thread that sees that sees the odd word later. */
static inline uint32_t index_ring_noted(const struct index_ring *ring)
{
	return (atomic_load_explicit(ring->flags, memory_order_acquire) & WIRE_RING_NOTED) |
	       (atomic_load_explicit(ring->head, memory_order_acquire) ^
		       atomic_load_explicit(ring->tail, memory_order_acquire));
}

/*
 * Whether nothing has changed that the server does not know. Until the thread that has the rings is
 * out of its memory, at its end, the kernel notes in them what happens; afterwards its number is out
 * of the header.
 */
static inline bool index_flags_clear(const struct index *index)
{
	/* Relaxed: after the sequence word, and nothing is read because of it. */
	return __builtin_expect(!index->rings, false) ||
	       ((atomic_load_explicit(&index_header(index)->owner, memory_order_relaxed) &
			WIRE_OWNER_LIVES) &&
		       !(index_ring_noted(&index->ring[0]) | index_ring_noted(&index->ring[1])) &&
		       index_marks_whole(index));
}

/* Where the table is, in a copy, which was checked when it was made; false if it cannot be there. */
static inline bool index_find_table(struct index *index)
{
	const struct wire_index *header = index_header(index);
	/* Relaxed: the word was read before, and is read again. */
	uint64_t table = atomic_load_explicit(&header->table, memory_order_relaxed);
	uint64_t entries = atomic_load_explicit(&header->entries, memory_order_relaxed);

	return (table == index->table && entries == index->entries) ||
	       index_use_table(index, table, entries);
}

static inline const struct wire_entry *index_entry(const struct index *index, uint64_t place)
{
	const struct wire_entry *table =
		(const struct wire_entry *)(const void *)(index->segment.base + index->table);

	return &table[place];
}

static inline bool index_entry_fits(const struct index *index, const struct wire_entry *entry,
	const struct index_key *key, uint64_t hash)
{
	equal_lanes differences;

	if (entry->hash != hash || entry->instance != index->instance ||
		entry->length != key->length)
		return false;
	differences = equal_differences(entry->name, key->name, key->length);
	return equal_none(differences | equal_differences_64(&entry->options, &key->options));
}

/* The key's entry and its place, where that is not the first one for it; NULL if there is none. */
const struct wire_entry *index_find_further(
	const struct index *index, const struct index_key *key, uint64_t hash, uint64_t *ret_place);

static inline const struct wire_entry *index_find_entry(
	const struct index *index, const struct index_key *key, uint64_t hash, uint64_t *ret_place)
{
	uint64_t place = index_place(index, hash, 0);
	const struct wire_entry *entry = index_entry(index, place);

	*ret_place = place;
	return __builtin_expect(index_entry_fits(index, entry, key, hash), true)
		       ? entry
		       : index_find_further(index, key, hash, ret_place);
}

/* Whether the entry is not one that somebody truncated while it was copied. */
static inline bool index_entry_whole(const struct index *index, const struct wire_entry *entry)
{
	return *(const volatile uint64_t *)&entry->instance == index->instance;
}

static inline void index_copy_answer(const struct wire_entry *entry, struct index_answer *ret)
{
	wire_copy(&ret->answer, &entry->answer, sizeof ret->answer);
	wire_copy(ret->words, entry->words, sizeof ret->words);
	wire_copy(&ret->until, &entry->until, sizeof ret->until);
}

/* What index_find says. */
enum index_found {
	INDEX_FOUND,
	INDEX_MISSING, /* not there, or in no state to be believed: ask the server */
	INDEX_CHANGED, /* while it was read: look again */
};

/*
 * Copies the answer for the key, which has that hash, and writes the image's number, as found, to the hold word
 * `hold`, which the caller has to itself. Unless the result is INDEX_FOUND, the hold word is 0 again.
 */
static inline enum index_found index_find(struct index *index, const struct index_key *key,
	uint64_t hash, _Atomic uint64_t *hold, struct index_answer *ret)
{
	const struct wire_entry *entry;
	uint64_t word;

	if (key->length > WIRE_INDEX_NAME_MAX)
		return INDEX_MISSING;
	word = index_read_even(index);
	if (!word || !index_flags_clear(index) || !index_find_table(index))
		return INDEX_MISSING;
	entry = index_find_entry(index, key, hash, &ret->place);
	if (!entry)
		return INDEX_MISSING;
	index_copy_answer(entry, ret);
	if (ret->answer.status || !ret->answer.image || (ret->until && index_expired(ret->until)))
		return INDEX_MISSING;
	/* Relaxed: the fence follows. */
	atomic_store_explicit(hold, ret->answer.image | WIRE_HOLD_FOUND, memory_order_relaxed);
	/* The hold is there before the word is read again, and what was copied was read before: see
	 * index_end. Nothing weaker orders a store before a load. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&index_header(index)->sequence, memory_order_relaxed) == word &&
		index_entry_whole(index, entry))
		return INDEX_FOUND;
	/* Release: it may have kept something that others wait for. */
	atomic_store_explicit(hold, 0, memory_order_release);
	return INDEX_CHANGED;
}
