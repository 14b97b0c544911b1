/*
 * Which names of the store are in the index, and where. What a name leads to is put there by
 * publish.c; it is taken out as soon as the name does not lead there any more.
 *
 * All with the store's lock held, and nothing at all without an index.
 */
#pragma once

#include "exchange/index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct alias;

struct index_writer {
	struct index *index;  /* NULL: there is none */
	size_t hidden;        /* bytes at the beginning of names that requesters leave out */
	unsigned depth;       /* of index_writer_begin */
	uint64_t removals;    /* what is held was to be looked at after each */
	uint64_t count;       /* entries in use */
	uint64_t *notes;      /* of each seat: how many were taken in (recency.c) */
	struct alias **slots; /* whose entry is at each place of the table */
	/* A table that is being filled, to be used instead; slots NULL: none. */
	struct index aside;
	struct alias **aside_slots;
	bool displaced; /* an entry had to make way for another since the table grew last */
};

/* For an empty index. False when out of memory: there is none then. */
bool index_writer_init(struct index_writer *writer, struct index *index, unsigned seats);
void index_writer_release(struct index_writer *writer);

/* What is changed between these is changed at once. They can be nested. */
void index_writer_begin(struct index_writer *writer);
void index_writer_end(struct index_writer *writer);

/* Whether what is in the index may be found; to be said between the two. */
void index_writer_let(struct index_writer *writer, bool found);

/* Puts an answer under the name, or another one in its place. Where there is no place, the least
 * recently used makes way. */
void index_writer_put(
	struct index_writer *writer, struct alias *alias, const struct index_answer *answer);

/* Takes the name out, if it is there. */
void index_writer_remove(struct index_writer *writer, struct alias *alias);
void index_writer_clear(struct index_writer *writer);

/* The name whose entry is at that place of the table; NULL if there is none. */
struct alias *index_writer_at(const struct index_writer *writer, uint64_t place);

/*
 * Growth. The table that is wanted, in entries, 0 for none. The memory at `table` of INDEX is ready
 * once index_writer_grow is called with it, which is to be called again until it says that the new
 * table is used. False from index_writer_grow_begin when out of memory.
 */
uint64_t index_writer_wanted(const struct index_writer *writer);
bool index_writer_grow_begin(struct index_writer *writer, uint64_t table, uint64_t entries);
bool index_writer_grow(struct index_writer *writer, uint64_t *at);
