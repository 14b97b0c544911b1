/*
 * The index: from a name and options to the image that the server has for them. The server writes
 * it, requesters read it without asking anybody.
 *
 * A requester believes what it read if the sequence word did not change from before it looked until
 * after it wrote its hold. The server changes the word before it changes anything, and looks at the
 * holds after that: either the requester sees the new word, or the server sees the hold.
 */
#pragma once

#include "base/equal.h"
#include "base/error.h"
#include "exchange/wire_index.h"
#include "shm/segment.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What of a ring a requester looks at. */
struct index_ring {
	const _Atomic uint32_t *flags, *head, *tail;
	const struct wire_ring_mark *mark;
};

/* An INDEX that is mapped. What never changes was checked once, and is not read from it again. */
struct index {
	struct segment segment;
	int guard;   /* its number in guard.h, or -1 */
	size_t page; /* as in HEAD */
	/* Of the server; and what each ring's page has of it. */
	uint64_t instance;
	_Alignas(EQUAL_ALIGNMENT) struct wire_ring_mark mark;
	uint64_t key[2];
	uint64_t table, entries; /* for the server: where it writes */
	uint64_t sequence;       /* for the server: what it wrote last */
	bool shut;               /* for the server: the word stays odd */
	bool probe;              /* for requesters: WIRE_INDEX_PROBE, or there is none */
	unsigned rings;          /* 0 or WIRE_RINGS */
	struct index_ring ring[WIRE_RINGS];
};

#define INDEX_NONE ((struct index){.segment = SEGMENT_NONE, .guard = -1, .probe = true})

/* What is looked up. Options are compared as they are. */
struct index_key {
	const char *name;
	size_t length;
	_Alignas(EQUAL_ALIGNMENT) struct wire_options options;
};

/* What is found. */
struct index_answer {
	struct wire_answer answer;
	uint64_t words[4];
	uint64_t until; /* as in an entry */
	uint64_t place; /* of the entry, when it was found */
};

/* Whether the pages of the rings, of which there are some, are those that were made for them. What was
 * read there before this call, by acquire loads, is true then. */
static inline bool index_marks_whole(const struct index *index)
{
	return equal_none(equal_differences_16(index->ring[0].mark, &index->mark) |
			  equal_differences_16(index->ring[1].mark, &index->mark));
}

/* The same, where there may be none. */
static inline bool index_rings_whole(const struct index *index)
{
	return !index->rings || index_marks_whole(index);
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

/* Unmaps and closes; safe on INDEX_NONE. */
void index_release(struct index *index);

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

/* Odd multipliers: the digits of pi, as in Blowfish. */
#define INDEX_MIX_1 UINT64_C(0x243f6a8885a308d3)
#define INDEX_MIX_2 UINT64_C(0x13198a2e03707345)
#define INDEX_MIX_3 UINT64_C(0xa4093822299f31d1)

/* The words of the options are mixed beside each other, those of the name one after the other. */
static inline uint64_t index_hash_options(
	const struct index *index, const struct wire_options *options)
{
	uint64_t words[sizeof *options / 8], hash = 0;

	memcpy(words, options, sizeof words);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		hash += (words[i] + index->key[1]) * (INDEX_MIX_1 + 2 * i);
	return hash;
}

static inline uint64_t index_hash_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * INDEX_MIX_2;
	return hash ^ hash >> 32;
}

/* The bytes behind the last whole word of a name. */
static inline uint64_t index_name_rest(const char *name, size_t length)
{
	unsigned rest = length % 8;
	uint64_t word = 0;

	if (length < 8) {
		for (unsigned i = 0; i < rest; i++)
			word |= (uint64_t)(uint8_t)name[i] << 8 * i;
		return word;
	}
	memcpy(&word, name + length - 8, 8);
	return le64toh(word) >> 8 * (8 - rest);
}

static inline uint64_t index_hash_name(
	const struct index *index, const char *name, size_t length, uint64_t options_hash)
{
	uint64_t hash = index->key[0] ^ length ^ options_hash;

	for (size_t at = 0; at + 8 <= length; at += 8) {
		uint64_t word;

		memcpy(&word, name + at, 8);
		hash = index_hash_word(hash, le64toh(word));
	}
	if (length % 8)
		hash = index_hash_word(hash, index_name_rest(name, length));
	hash *= INDEX_MIX_3;
	return hash ^ hash >> 29;
}

/* The hash of a key. */
static inline uint64_t index_hash(const struct index *index, const struct index_key *key)
{
	return index_hash_name(
		index, key->name, key->length, index_hash_options(index, &key->options));
}

/* The places for a hash in the table, by number: WIRE_INDEX_PROBES of them. */
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
