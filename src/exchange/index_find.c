#include "exchange/index_find.h"

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
	index->mark = (struct wire_ring_mark){WIRE_RING_MAGIC, instance};
	index->probe = header.flags & WIRE_INDEX_PROBE;
	index->rings = header.rings;
	memcpy(index->key, header.key, sizeof index->key);
	whole = header.magic == WIRE_INDEX_MAGIC && header.version == WIRE_VERSION &&
		header.page == page && header.instance == instance &&
		(!header.rings || header.rings == WIRE_RINGS) &&
		wire_index_start(page, header.rings) <= index->segment.size;
	for (unsigned i = 0; whole && i < header.rings; i++)
		whole = find_ring(index, &header.ring[i], i);
	return whole && index_use_table(index, header.table, header.entries);
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

uint64_t index_await_even(const struct index *index)
{
	uint64_t until = clock_now() + ODD_MAX_NS, word;

	do {
		for (int i = 0; i < ODD_LOOKS; i++)
			spin_pause();
		word = index_read_word(index);
	} while (word & 1 && clock_now() <= until);
	return word & 1 ? 0 : word;
}

bool index_use_table(struct index *index, uint64_t table, uint64_t entries)
{
	uint64_t end;

	if (!entries || entries > WIRE_INDEX_MAX || entries & (entries - 1) ||
		table % index->page || table > index->segment.reserved)
		return false;
	end = table + entries * sizeof(struct wire_entry);
	/* It has grown. */
	if (end > index->segment.size)
		segment_refresh(&index->segment, NULL);
	if (end > index->segment.size || end > index->segment.reserved)
		return false;
	index->table = table;
	index->entries = entries;
	return true;
}

const struct wire_entry *index_find_further(
	const struct index *index, const struct index_key *key, uint64_t hash, uint64_t *ret_place)
{
	for (unsigned i = 1; i < WIRE_INDEX_PROBES; i++) {
		uint64_t place = index_place(index, hash, i);
		const struct wire_entry *entry = index_entry(index, place);

		if (index_entry_fits(index, entry, key, hash)) {
			*ret_place = place;
			return entry;
		}
	}
	return NULL;
}

bool index_expired(uint64_t until)
{
	return clock_coarse() >= until;
}
