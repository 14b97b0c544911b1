#include "client/lookup.h"

#include "base/clock.h"
#include "client/options.h"

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

	/* With another index come other hashes. A request that looked like that would be refused. */
	memset(connection->prepared.given, 0xff, sizeof connection->prepared.given);
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

void lookup_renew(struct connection *connection)
{
	/* Relaxed: lookup_open reads it again. */
	if (atomic_load_explicit(&head_server(&connection->head)->index_number,
		    memory_order_relaxed) == connection->index_number)
		return;
	index_release(&connection->index);
	lookup_open(connection);
}

bool lookup_probe(struct connection *connection)
{
	uint64_t now;

	if (!connection->index.segment.base)
		return false;
	now = clock_coarse();
	if (now < connection->probe_at)
		return true;
	connection->probe_at = now + PROBE_NS;
	if (head_server_alive(&connection->head))
		return true;
	/* For good: the next request learns it from the lock. */
	index_release(&connection->index);
	return false;
}

enum index_found lookup_again(struct connection *connection, uint64_t hash, _Atomic uint64_t *hold,
	struct index_answer *ret)
{
	enum index_found found = INDEX_CHANGED;

	for (int i = 1; i < TRIES_MAX && found == INDEX_CHANGED; i++)
		found = index_find(&connection->index, &connection->prepared.key, hash, hold, ret);
	return found;
}

void lookup_prepare(struct connection *connection, const struct shmsem_request *request)
{
	struct prepared *prepared = &connection->prepared;

	memcpy(prepared->given, (const uint8_t *)request + OPTIONS_BEGIN, sizeof prepared->given);
	prepared->key.options = options_of(request);
	if (prepared->key.options.image.scale == 1)
		prepared->key.options.image.scale = 0;
	prepared->hash = index_hash_options(&connection->index, &prepared->key.options);
}
