#include "exchange/index.h"

#include "base/clock.h"
#include "exchange/wait.h"
#include "shm/guard.h"

#include <string.h>
#include <sys/random.h>

/* How long a change may last before the server is asked instead. */
#define ODD_MAX_NS  (5 * NS_PER_US)
#define ODD_LOOKS   16
#define FIRST_VALUE 2 /* of the sequence word: even */

static struct wire_index *header_of(const struct index *index)
{
	return (struct wire_index *)(void *)index->segment.base;
}

static struct wire_entry *entry_at(const struct index *index, uint64_t at)
{
	return (struct wire_entry *)(void *)(index->segment.base + index->page) +
	       (at & (index->entries - 1));
}

/* Odd multipliers: the digits of pi, as in Blowfish. */
#define MIX_1 UINT64_C(0x243f6a8885a308d3)
#define MIX_2 UINT64_C(0x13198a2e03707345)
#define MIX_3 UINT64_C(0xa4093822299f31d1)

/* The options are mixed beside each other, the name one word after the other. */
static uint64_t hash_key(const struct index *index, const struct index_key *key)
{
	uint64_t words[sizeof key->options / 8], hash = index->key[0] ^ key->length, other = 0;

	memcpy(words, &key->options, sizeof words);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		other += (words[i] + index->key[1]) * (MIX_1 + 2 * i);
	hash ^= other;
	for (size_t at = 0; at < key->length; at += 8) {
		size_t rest = key->length - at;
		uint64_t word = 0;

		memcpy(&word, key->name + at, rest < 8 ? rest : 8);
		hash = (hash ^ word) * MIX_2;
		hash ^= hash >> 32;
	}
	hash *= MIX_3;
	return hash ^ hash >> 29;
}

/* ---- for the server ---- */

void index_init(struct index *index, size_t page, uint64_t instance, uint64_t entries)
{
	struct wire_index *header = header_of(index);

	index->page = page;
	index->instance = instance;
	index->entries = entries;
	/* Without random numbers, names can be made to collide: then they are not found here. */
	if (getrandom(index->key, sizeof index->key, GRND_NONBLOCK) < 0)
		index->key[0] = clock_now();
	header->version = WIRE_VERSION;
	header->page = (uint32_t)page;
	header->instance = instance;
	header->entries = entries;
	memcpy(header->key, index->key, sizeof header->key);
	header->magic = WIRE_INDEX_MAGIC;
	/* Release: nobody believes the header before this. */
	atomic_store_explicit(&header->sequence, FIRST_VALUE, memory_order_release);
}

void index_begin(struct index *index)
{
	_Atomic uint64_t *sequence = &header_of(index)->sequence;

	/* Relaxed: nobody else writes it. */
	atomic_store_explicit(sequence, atomic_load_explicit(sequence, memory_order_relaxed) | 1,
		memory_order_relaxed);
	/* What is changed from now on must not be seen before the odd word (a release store would
	 * only keep what is before it in order). */
	atomic_thread_fence(memory_order_seq_cst);
}

void index_end(struct index *index)
{
	_Atomic uint64_t *sequence = &header_of(index)->sequence;

	/* Release: a reader that sees this value sees all that was changed before. */
	atomic_store_explicit(sequence, atomic_load_explicit(sequence, memory_order_relaxed) + 1,
		memory_order_release);
	/* Holds are collected after this. With the fence in index_find: a hold that is not seen
	 * then belongs to somebody who sees the new word. */
	atomic_thread_fence(memory_order_seq_cst);
}

static bool entry_is(const struct index *index, const struct wire_entry *entry, uint64_t hash,
	const struct index_key *key)
{
	return entry->instance == index->instance && entry->hash == hash &&
	       entry->length == key->length &&
	       !memcmp(&entry->options, &key->options, sizeof key->options) &&
	       !memcmp(entry->name, key->name, key->length);
}

bool index_put(struct index *index, const struct index_key *key, const struct wire_answer *answer,
	const uint64_t words[4])
{
	uint64_t hash = hash_key(index, key);
	struct wire_entry *place = NULL;

	if (key->length > WIRE_INDEX_NAME_MAX)
		return false;
	for (unsigned i = 0; i < WIRE_INDEX_PROBES; i++) {
		struct wire_entry *entry = entry_at(index, hash + i);

		if (entry_is(index, entry, hash, key)) {
			place = entry;
			break;
		}
		if (!place && !entry->instance)
			place = entry;
	}
	if (!place)
		return false;
	place->hash = hash;
	place->length = (uint32_t)key->length;
	memcpy(place->words, words, sizeof place->words);
	place->answer = *answer;
	place->options = key->options;
	memcpy(place->name, key->name, key->length);
	place->instance = index->instance;
	return true;
}

void index_remove(struct index *index, const struct index_key *key)
{
	uint64_t hash = hash_key(index, key);

	for (unsigned i = 0; key->length <= WIRE_INDEX_NAME_MAX && i < WIRE_INDEX_PROBES; i++) {
		struct wire_entry *entry = entry_at(index, hash + i);

		if (entry_is(index, entry, hash, key))
			entry->instance = 0;
	}
}

/* ---- for requesters ---- */

static bool header_check(struct index *index, size_t page, uint64_t instance)
{
	struct wire_index header;

	if (!index->segment.base || index->segment.size < page)
		return false;
	wire_copy(&header, header_of(index), sizeof header);
	index->page = page;
	index->instance = instance;
	index->entries = header.entries;
	memcpy(index->key, header.key, sizeof index->key);
	return header.magic == WIRE_INDEX_MAGIC && header.version == WIRE_VERSION &&
	       header.page == page && header.instance == instance && header.entries &&
	       header.entries <= WIRE_INDEX_MAX && !(header.entries & (header.entries - 1)) &&
	       wire_index_size(page, header.entries) <= index->segment.size;
}

int index_open(const char *name, size_t page, uint64_t instance, bool guarded, struct index *ret,
	struct error *err)
{
	struct index index = INDEX_NONE;
	int status = segment_open(name, false, 0, &index.segment, err);

	if (status)
		return status;
	if (guarded && index.segment.base)
		index.guard = guard_add(index.segment.base, index.segment.reserved);
	if (!header_check(&index, page, instance)) {
		index_release(&index);
		return error_set(err, STATUS_BAD_DATA, "'%s' is not this server's index", name);
	}
	*ret = index;
	return STATUS_OK;
}

void index_release(struct index *index)
{
	guard_remove(index->guard);
	segment_release(&index->segment);
	*index = INDEX_NONE;
}

/* The word, even; 0 if it does not become so soon, or is no word at all. */
static uint64_t read_even(const struct index *index)
{
	const _Atomic uint64_t *sequence = &header_of(index)->sequence;
	uint64_t until = 0;

	for (;;) {
		/* Acquire: the entries are read after it. */
		uint64_t word = atomic_load_explicit(sequence, memory_order_acquire);

		if (!(word & 1))
			return word;
		if (!until)
			until = clock_now() + ODD_MAX_NS;
		else if (clock_now() > until)
			return 0;
		for (int i = 0; i < ODD_LOOKS; i++)
			spin_pause();
	}
}

static const struct wire_entry *find_entry(const struct index *index, const struct index_key *key)
{
	uint64_t hash = hash_key(index, key);

	for (unsigned i = 0; i < WIRE_INDEX_PROBES; i++) {
		const struct wire_entry *entry = entry_at(index, hash + i);

		if (entry_is(index, entry, hash, key))
			return entry;
	}
	return NULL;
}

/* Whether the entry is not one that somebody truncated while it was copied. */
static bool entry_whole(const struct index *index, const struct wire_entry *entry)
{
	return *(const volatile uint64_t *)&entry->instance == index->instance;
}

enum index_found index_find(const struct index *index, const struct index_key *key,
	_Atomic uint64_t *hold, struct wire_answer *ret_answer, uint64_t ret_words[4])
{
	const struct wire_entry *entry;
	uint64_t word;

	if (key->length > WIRE_INDEX_NAME_MAX)
		return INDEX_MISSING;
	word = read_even(index);
	entry = word ? find_entry(index, key) : NULL;
	if (!entry)
		return INDEX_MISSING;
	wire_copy(ret_answer, &entry->answer, sizeof *ret_answer);
	wire_copy(ret_words, entry->words, sizeof entry->words);
	if (ret_answer->status || !ret_answer->image)
		return INDEX_MISSING;
	/* Relaxed: the fence follows. */
	atomic_store_explicit(hold, ret_answer->image, memory_order_relaxed);
	/* The hold is there before the word is read again, and what was copied was read before: see
	 * index_end. Nothing weaker orders a store before a load. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&header_of(index)->sequence, memory_order_relaxed) == word &&
		entry_whole(index, entry))
		return INDEX_FOUND;
	/* Release: it may have kept something that others wait for. */
	atomic_store_explicit(hold, 0, memory_order_release);
	return INDEX_CHANGED;
}
