/* The index as requesters read it: nothing in it is believed before it was checked. */
#include "exchange/index.h"

#include "base/clock.h"
#include "exchange/wait.h"
#include "shm/guard.h"

#include <string.h>

/* How long a change may last before the server is asked instead. */
#define ODD_MAX_NS (5 * NS_PER_US)
#define ODD_LOOKS  16

/* Where a ring says what was noted; false if it cannot lie there. */
static bool find_ring(struct index *index, const struct wire_ring *at, unsigned number)
{
	uint64_t start = (1 + (uint64_t)number) * index->page, end = start + index->page;
	const uint32_t offsets[] = {at->flags, at->head, at->tail, at->mark};

	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
		if (offsets[i] < start || offsets[i] > end - sizeof(struct wire_ring_mark) ||
			offsets[i] % (i == 3 ? sizeof(uint64_t) : sizeof(uint32_t)))
			return false;
	index->ring[number] = index_ring_at(index, at);
	return true;
}

static bool header_check(struct index *index, size_t page, uint64_t instance)
{
	struct wire_index header;
	bool whole;

	if (!index->segment.base || index->segment.size < page)
		return false;
	wire_copy(&header, index_header(index), sizeof header);
	index->page = page;
	index->instance = instance;
	index->probe = header.flags & WIRE_INDEX_PROBE;
	index->rings = header.rings;
	memcpy(index->key, header.key, sizeof index->key);
	whole = header.magic == WIRE_INDEX_MAGIC && header.version == WIRE_VERSION &&
		header.page == page && header.instance == instance &&
		header.rings <= WIRE_RINGS_MAX &&
		wire_index_start(page, header.rings) <= index->segment.size;
	for (unsigned i = 0; whole && i < header.rings; i++)
		whole = find_ring(index, &header.ring[i], i);
	return whole;
}

int index_open(const char *name, size_t page, uint64_t reserve, uint64_t instance, bool guarded,
	struct index *ret, struct error *err)
{
	struct index index = INDEX_NONE;
	int status = segment_open(name, false, reserve, &index.segment, err);

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
	const _Atomic uint64_t *sequence = &index_header(index)->sequence;
	uint64_t until = 0;

	for (;;) {
		/* Acquire: everything else is read after it. */
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

/*
 * Whether nothing has changed that the server does not know. Until the thread that has the rings is
 * out of its memory, at its end, the kernel notes in them what happens; afterwards its number is out
 * of the header.
 */
static bool flags_clear(const struct index *index)
{
	/* Relaxed: after the sequence word, and nothing is read because of it. */
	if (index->rings &&
		!(atomic_load_explicit(&index_header(index)->owner, memory_order_relaxed) &
			WIRE_OWNER_LIVES))
		return false;
	for (unsigned i = 0; i < index->rings; i++) {
		const struct index_ring *ring = &index->ring[i];

		/* Acquire, all: the kernel clears flags and takes completions away only after the
		 * word was odd, so a thread that sees that sees the odd word later. */
		if (atomic_load_explicit(ring->flags, memory_order_acquire) & WIRE_RING_NOTED ||
			atomic_load_explicit(ring->head, memory_order_acquire) !=
				atomic_load_explicit(ring->tail, memory_order_acquire))
			return false;
	}
	return index_rings_whole(index);
}

/* Where the table is, in a copy; false if it cannot be there. */
static bool find_table(struct index *index)
{
	const struct wire_index *header = index_header(index);
	uint64_t end;

	/* Relaxed: the word was read before, and is read again. */
	index->table = atomic_load_explicit(&header->table, memory_order_relaxed);
	index->entries = atomic_load_explicit(&header->entries, memory_order_relaxed);
	if (!index->entries || index->entries > WIRE_INDEX_MAX ||
		index->entries & (index->entries - 1) || index->table % index->page ||
		index->table > index->segment.reserved)
		return false;
	end = index->table + index->entries * sizeof(struct wire_entry);
	/* It has grown. */
	if (end > index->segment.size)
		segment_refresh(&index->segment, NULL);
	return end <= index->segment.size && end <= index->segment.reserved;
}

static const struct wire_entry *find_entry(const struct index *index, const struct index_key *key)
{
	uint64_t hash = index_hash(index, key);

	for (unsigned i = 0; i < WIRE_INDEX_PROBES; i++) {
		const struct wire_entry *entry =
			(const struct wire_entry *)(void *)(index->segment.base + index->table) +
			index_place(index, hash, i);

		if (entry->instance == index->instance && entry->hash == hash &&
			entry->length == key->length &&
			!memcmp(&entry->options, &key->options, sizeof key->options) &&
			!memcmp(entry->name, key->name, key->length))
			return entry;
	}
	return NULL;
}

/* Whether the entry is not one that somebody truncated while it was copied. */
static bool entry_whole(const struct index *index, const struct wire_entry *entry)
{
	return *(const volatile uint64_t *)&entry->instance == index->instance;
}

static void copy_answer(
	const struct index *index, const struct wire_entry *entry, struct index_answer *ret)
{
	const void *table = index->segment.base + index->table;

	ret->place = (uint64_t)(entry - (const struct wire_entry *)table);
	wire_copy(&ret->answer, &entry->answer, sizeof ret->answer);
	wire_copy(ret->words, entry->words, sizeof ret->words);
	wire_copy(&ret->until, &entry->until, sizeof ret->until);
}

enum index_found index_find(struct index *index, const struct index_key *key,
	_Atomic uint64_t *hold, struct index_answer *ret)
{
	const struct wire_entry *entry;
	uint64_t word;

	if (key->length > WIRE_INDEX_NAME_MAX)
		return INDEX_MISSING;
	word = read_even(index);
	if (!word || !flags_clear(index) || !find_table(index))
		return INDEX_MISSING;
	entry = find_entry(index, key);
	if (!entry)
		return INDEX_MISSING;
	copy_answer(index, entry, ret);
	if (ret->answer.status || !ret->answer.image ||
		(ret->until && clock_coarse() >= ret->until))
		return INDEX_MISSING;
	/* Relaxed: the fence follows. */
	atomic_store_explicit(hold, ret->answer.image, memory_order_relaxed);
	/* The hold is there before the word is read again, and what was copied was read before: see
	 * index_end. Nothing weaker orders a store before a load. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&index_header(index)->sequence, memory_order_relaxed) == word &&
		entry_whole(index, entry))
		return INDEX_FOUND;
	/* Release: it may have kept something that others wait for. */
	atomic_store_explicit(hold, 0, memory_order_release);
	return INDEX_CHANGED;
}
