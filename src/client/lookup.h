/* A stored image without asking the server. */
#pragma once

#include "base/equal.h"
#include "client/connection.h"
#include "exchange/index_find.h"

#include <stdbool.h>
#include <string.h>

/* Opens the server's index, if it has one. A connection without does not look anything up. */
void lookup_open(struct connection *connection);

/* The server may have another index by now: opens that. */
__attribute__((cold)) void lookup_renew(struct connection *connection);

/* Whether there is an index whose server lived not long ago. */
__attribute__((cold)) bool lookup_probe(struct connection *connection);

/* Prepares look-ups with the options of that request, which have been checked. */
void lookup_prepare(struct connection *connection, const struct shmsem_request *request);

/* Whether that was what was prepared last. */
static inline bool lookup_prepared(
	const struct connection *connection, const struct shmsem_request *request)
{
	_Static_assert(OPTIONS_GIVEN == 80, "what is compared");
	return equal_80((const uint8_t *)request + OPTIONS_BEGIN, connection->prepared.given);
}

/* So that the server knows what was used, and in which order. */
static inline void lookup_note(struct connection *connection, uint64_t note)
{
	struct wire_seat_counters *counters = connection->counters;
	uint64_t number;

	if (note == connection->last_note)
		return;
	number = atomic_load_explicit(&counters->notes, memory_order_relaxed);
	connection->last_note = note;
	atomic_store_explicit(&connection->notes[number % WIRE_NOTES], note, memory_order_relaxed);
	/* Release: who reads this count sees the note. */
	atomic_store_explicit(&counters->notes, number + 1, memory_order_release);
}

/* Looks again, and again, for what was changed while it was read. */
__attribute__((cold)) enum index_found lookup_again(struct connection *connection, uint64_t hash,
	_Atomic uint64_t *hold, struct index_answer *ret);

static inline enum index_found lookup_find(
	struct connection *connection, unsigned hold, const char *name, struct index_answer *ret)
{
	_Atomic uint64_t *word = connection_use_hold_word(connection, hold);
	struct index_key *key = &connection->prepared.key;
	enum index_found found;
	uint64_t hash;

	key->name = name;
	key->length = strlen(name);
	hash = index_hash_name(&connection->index, name, key->length, connection->prepared.hash);
	found = index_find(&connection->index, key, hash, word, ret);
	return found == INDEX_CHANGED ? lookup_again(connection, hash, word, ret) : found;
}

/*
 * Looks an image up, with the options that were prepared last. If it is found, the hold holds it, and
 * its answer is what the server would give. False if the server must be asked.
 */
static inline bool lookup(
	struct connection *connection, unsigned hold, const char *name, struct index_answer *ret)
{
	struct wire_seat_counters *counters;

	if ((connection->index.probe && !lookup_probe(connection)) ||
		lookup_find(connection, hold, name, ret) != INDEX_FOUND) {
		/* For the next time: this call has to ask the server anyway. */
		lookup_renew(connection);
		return false;
	}
	counters = connection->counters;
	wire_count(&counters->index_bytes, ret->words[0]);
	wire_count(&counters->index_hits, 1);
	lookup_note(connection, wire_note(ret->place, ret->answer.image));
	return true;
}
