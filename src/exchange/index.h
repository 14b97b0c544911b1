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

/* An INDEX that is mapped; what is in it was checked once, and is never read from it again. */
struct index {
	struct segment segment;
	int guard;         /* its number in guard.h, or -1 */
	size_t page;       /* where the entries begin */
	uint64_t instance; /* of the server */
	uint64_t entries, key[2];
};

#define INDEX_NONE ((struct index){.segment = SEGMENT_NONE, .guard = -1})

/* What is looked up. Options are compared as they are. */
struct index_key {
	const char *name;
	size_t length;
	struct wire_options options;
};

/* ---- for the server, one thread at a time ---- */

/* Writes the header of a new, empty index of `entries` (a power of two) into a mapped segment of
 * wire_index_size() zero bytes. `index->segment` is set, the rest is filled in. */
void index_init(struct index *index, size_t page, uint64_t instance, uint64_t entries);

/*
 * Everything that is changed is changed between these two. When index_end has returned, no look-up
 * that is still under way gets what was taken out, but it may hold it: only holds that are collected
 * after this call count.
 */
void index_begin(struct index *index);
void index_end(struct index *index);

/* Makes the key lead to that answer, between index_begin and index_end. False if there is no place
 * for it: nothing is changed then. */
bool index_put(struct index *index, const struct index_key *key, const struct wire_answer *answer,
	const uint64_t words[4]);

/* Takes the key out, between index_begin and index_end; one that is not there is ignored. */
void index_remove(struct index *index, const struct index_key *key);

/* ---- for requesters ---- */

/*
 * Opens the INDEX of that server, which has that page size, and checks its header. STATUS_NOT_FOUND
 * if there is none; STATUS_BAD_DATA if it is not that server's. index_release() when done.
 */
int index_open(const char *name, size_t page, uint64_t instance, bool guarded, struct index *ret,
	struct error *err);
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
enum index_found index_find(const struct index *index, const struct index_key *key,
	_Atomic uint64_t *hold, struct wire_answer *ret_answer, uint64_t ret_words[4]);
