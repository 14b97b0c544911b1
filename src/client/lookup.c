#include "client/lookup.h"

#include "base/clock.h"

#include <string.h>
#include <sys/mman.h>

/* The index of a server that was killed says what it said last: whether it lives is asked so often. */
#define PROBE_NS  (100 * NS_PER_MS)
#define TRIES_MAX 3

void lookup_open(struct connection *connection)
{
	const struct head *head = &connection->head;
	struct index *index = &connection->index;
	char name[OBJECT_NAME_SIZE];
	uint64_t reserve;

	/* Acquire: the name led to the one with that number before. */
	connection->index_number = atomic_load_explicit(
		&head_server(head)->index_number, memory_order_acquire);
	wire_copy(&reserve, &head_server(head)->index_reserve, sizeof reserve);
	if (!reserve || reserve % head->page || reserve > SIZE_MAX / 2)
		return;
	object_name(&connection->space, OBJECT_INDEX, 0, name);
	if (index_open(name, head->page, reserve, head->instance, connection->guarded, index, NULL))
		return;
	if (index->segment.owner != head->segment.owner) {
		index_release(index);
		return;
	}
	/* A child of fork() has no use for it, and must not keep it. */
	madvise(index->segment.base, index->segment.reserved, MADV_DONTFORK);
}

/* The server may have another index by now. */
static void renew(struct connection *connection)
{
	/* Relaxed: lookup_open reads it again. */
	if (atomic_load_explicit(&head_server(&connection->head)->index_number,
		    memory_order_relaxed) == connection->index_number)
		return;
	index_release(&connection->index);
	lookup_open(connection);
}

/* Whether the server lived not long ago. */
static bool server_lives(struct connection *connection)
{
	uint64_t now = connection->index.probe ? clock_coarse() : 0;

	if (now < connection->probe_at || !connection->index.probe)
		return true;
	connection->probe_at = now + PROBE_NS;
	if (head_server_alive(&connection->head))
		return true;
	/* For good: the next request learns it from the lock. */
	index_release(&connection->index);
	return false;
}

/* So that the server knows what was used, and in which order. */
static void take_note(
	struct connection *connection, struct wire_seat_counters *counters, uint64_t note)
{
	uint64_t number = atomic_load_explicit(&counters->notes, memory_order_relaxed);

	if (note == connection->last_note)
		return;
	connection->last_note = note;
	atomic_store_explicit(
		head_note(&connection->head, connection->seat, number), note, memory_order_relaxed);
	/* Release: who reads this count sees the note. */
	atomic_store_explicit(&counters->notes, number + 1, memory_order_release);
}

bool lookup(struct connection *connection, unsigned hold, const char *name,
	const struct wire_options *options, struct index_answer *ret)
{
	struct index_key key = {.name = name, .length = strlen(name), .options = *options};
	struct wire_seat_counters *counters;
	enum index_found found = INDEX_MISSING;
	_Atomic uint64_t *word;

	if (key.options.scale == 1)
		key.options.scale = 0;
	if (connection->index.segment.base && server_lives(connection)) {
		word = head_hold(&connection->head, connection->seat, hold);
		head_raise_mark(&connection->head, connection->seat, hold);
		found = INDEX_CHANGED;
		for (int i = 0; i < TRIES_MAX && found == INDEX_CHANGED; i++)
			found = index_find(&connection->index, &key, word, ret);
	}
	if (found != INDEX_FOUND) {
		/* For the next time: this call has to ask the server anyway. */
		renew(connection);
		return false;
	}
	counters = head_seat_counters(&connection->head, connection->seat);
	wire_count(&counters->index_bytes, ret->words[0]);
	wire_count(&counters->index_hits, 1);
	take_note(connection, counters, wire_note(ret->place, ret->answer.image));
	return true;
}
