/* The index as the server writes it. */
#include "exchange/index.h"

#include "base/clock.h"
#include "shm/guard.h"

#include <string.h>
#include <sys/random.h>

#define FIRST_VALUE 2 /* of the sequence word: even */

static struct wire_entry *entry_at(const struct index *index, uint64_t place)
{
	return (struct wire_entry *)(void *)(index->segment.base + index->table) + place;
}

void index_release(struct index *index)
{
	guard_remove(index->guard);
	segment_release(&index->segment);
	*index = INDEX_NONE;
}

void index_init(
	struct index *index, size_t page, uint64_t instance, uint64_t entries, unsigned rings)
{
	struct wire_index *header = index_header(index);

	index->page = page;
	index->rings = rings;
	index->instance = instance;
	index->mark = (struct wire_ring_mark){WIRE_RING_MAGIC, instance};
	index->table = wire_index_start(page, rings);
	index->entries = entries;
	/* Without random numbers, names can be made to collide: then they are not found here. */
	if (getrandom(index->key, sizeof index->key, GRND_NONBLOCK) < 0)
		index->key[0] = clock_now();
	header->version = WIRE_VERSION;
	header->page = (uint32_t)page;
	header->instance = instance;
	header->flags = rings ? 0 : WIRE_INDEX_PROBE;
	header->rings = rings;
	memcpy(header->key, index->key, sizeof header->key);
	atomic_store_explicit(&header->table, index->table, memory_order_relaxed);
	atomic_store_explicit(&header->entries, entries, memory_order_relaxed);
	header->magic = WIRE_INDEX_MAGIC;
	index->sequence = FIRST_VALUE;
	/* Release: nobody believes the header before this. */
	atomic_store_explicit(&header->sequence, FIRST_VALUE, memory_order_release);
}

void index_set_ring(struct index *index, unsigned number, const struct wire_ring *offsets)
{
	struct wire_ring_mark *mark = (struct wire_ring_mark *)(void *)(index->segment.base +
									offsets->mark);

	*mark = index->mark;
	index_header(index)->ring[number] = *offsets;
	index->ring[number] = index_ring_at(index, offsets);
}

bool index_whole(const struct index *index)
{
	const struct wire_index *header = index_header(index);
	bool whole = header->magic == WIRE_INDEX_MAGIC && header->version == WIRE_VERSION &&
		     header->page == index->page && header->instance == index->instance &&
		     header->flags == (index->rings ? 0 : WIRE_INDEX_PROBE) &&
		     header->rings == index->rings &&
		     !memcmp(header->key, index->key, sizeof index->key) &&
		     atomic_load(&header->sequence) == index->sequence &&
		     atomic_load(&header->table) == index->table &&
		     atomic_load(&header->entries) == index->entries && index_rings_whole(index);

	for (unsigned i = 0; i < index->rings; i++) {
		struct index_ring at = index_ring_at(index, &header->ring[i]);

		whole &= !memcmp(&at, &index->ring[i], sizeof at);
	}
	return whole;
}

void index_begin(struct index *index)
{
	/* Relaxed: the fence follows. */
	index->sequence |= 1;
	atomic_store_explicit(
		&index_header(index)->sequence, index->sequence, memory_order_relaxed);
	/* What is changed from now on must not be seen before the odd word (a release store would
	 * only keep what is before it in order). */
	atomic_thread_fence(memory_order_seq_cst);
}

void index_end(struct index *index)
{
	/* Release: a reader that sees this value sees all that was changed before. */
	if (!index->shut)
		atomic_store_explicit(
			&index_header(index)->sequence, ++index->sequence, memory_order_release);
	/* Holds are collected after this. With the fence in index_find: a hold that is not seen
	 * then belongs to a requester that sees the new word. */
	atomic_thread_fence(memory_order_seq_cst);
}

void index_shut(struct index *index)
{
	index_begin(index);
	index->shut = true;
}

void index_move(struct index *index, uint64_t table, uint64_t entries)
{
	index->table = table;
	index->entries = entries;
	/* Relaxed: between the odd word and the even one. */
	atomic_store_explicit(&index_header(index)->table, table, memory_order_relaxed);
	atomic_store_explicit(&index_header(index)->entries, entries, memory_order_relaxed);
}

void index_write(struct index *index, uint64_t place, uint64_t hash, const struct index_key *key,
	const struct index_answer *answer)
{
	struct wire_entry *entry = entry_at(index, place);

	entry->hash = hash;
	entry->length = (uint32_t)key->length;
	entry->until = answer->until;
	memcpy(entry->words, answer->words, sizeof entry->words);
	entry->answer = answer->answer;
	entry->options = key->options;
	memcpy(entry->name, key->name, key->length);
	entry->instance = index->instance;
}

void index_erase(struct index *index, uint64_t place)
{
	entry_at(index, place)->instance = 0;
}

void index_copy(struct index *index, uint64_t place, const struct index *from, uint64_t from_place)
{
	*entry_at(index, place) = *entry_at(from, from_place);
}

static bool entry_is(
	const struct index *index, uint64_t place, uint64_t hash, const struct index_key *key)
{
	const struct wire_entry *entry = entry_at(index, place);

	return entry->instance == index->instance && entry->hash == hash &&
	       entry->length == key->length &&
	       !memcmp(&entry->options, &key->options, sizeof key->options) &&
	       !memcmp(entry->name, key->name, key->length);
}

bool index_put(struct index *index, const struct index_key *key, const struct index_answer *answer)
{
	uint64_t hash = index_hash(index, key), free = UINT64_MAX;

	if (key->length > WIRE_INDEX_NAME_MAX)
		return false;
	for (unsigned i = 0; i < WIRE_INDEX_PROBES; i++) {
		uint64_t place = index_place(index, hash, i);

		if (entry_is(index, place, hash, key)) {
			free = place;
			break;
		}
		if (free == UINT64_MAX && !entry_at(index, place)->instance)
			free = place;
	}
	if (free == UINT64_MAX)
		return false;
	index_write(index, free, hash, key, answer);
	return true;
}

void index_remove(struct index *index, const struct index_key *key)
{
	uint64_t hash = index_hash(index, key);

	for (unsigned i = 0; key->length <= WIRE_INDEX_NAME_MAX && i < WIRE_INDEX_PROBES; i++) {
		uint64_t place = index_place(index, hash, i);

		if (entry_is(index, place, hash, key))
			index_erase(index, place);
	}
}
