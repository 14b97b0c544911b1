#include "server/index_writer.h"

#include "server/store.h"

#include <stdlib.h>
#include <string.h>

/* Places of the old table that are copied at a time. */
#define GROW_STEP 512

void index_writer_release(struct index_writer *writer)
{
	free(writer->notes);
	free(writer->slots);
	free(writer->aside_slots);
	*writer = (struct index_writer){0};
}

bool index_writer_init(struct index_writer *writer, struct index *index, unsigned seats)
{
	*writer = (struct index_writer){.slots = calloc(index->entries, sizeof(struct alias *)),
		.notes = calloc(seats, sizeof *writer->notes)};
	if (writer->slots && writer->notes)
		writer->index = index;
	else
		index_writer_release(writer);
	return writer->index;
}

void index_writer_begin(struct index_writer *writer)
{
	if (writer->index && !writer->depth++)
		index_begin(writer->index);
}

void index_writer_end(struct index_writer *writer)
{
	if (writer->index && !--writer->depth)
		index_end(writer->index);
}

void index_writer_let(struct index_writer *writer, bool found)
{
	if (writer->index)
		writer->index->shut = !found;
}

static struct index_key key_of(const struct index_writer *writer, const struct alias *alias)
{
	const char *name = alias->name + writer->hidden;
	struct index_key key = {.name = name, .length = strlen(name)};

	key.options.image = alias->options;
	return key;
}

/* Where the name's entry is in a table; UINT64_MAX: nowhere. */
static uint64_t find(
	const struct index *index, struct alias **slots, const struct alias *alias, uint64_t hash)
{
	for (unsigned i = 0; i < WIRE_INDEX_PROBES; i++)
		if (slots[index_place(index, hash, i)] == alias)
			return index_place(index, hash, i);
	return UINT64_MAX;
}

/* Takes the name out of one of the tables. */
static bool remove_from(
	struct index *index, struct alias **slots, const struct alias *alias, uint64_t hash)
{
	uint64_t place = slots ? find(index, slots, alias, hash) : UINT64_MAX;

	if (place == UINT64_MAX)
		return false;
	index_erase(index, place);
	slots[place] = NULL;
	return true;
}

void index_writer_remove(struct index_writer *writer, struct alias *alias)
{
	struct index_key key;
	uint64_t hash;

	if (!alias->indexed)
		return;
	key = key_of(writer, alias);
	hash = index_hash(writer->index, &key);
	index_writer_begin(writer);
	writer->count -= remove_from(writer->index, writer->slots, alias, hash);
	remove_from(&writer->aside, writer->aside_slots, alias, hash);
	index_writer_end(writer);
	alias->indexed = false;
	writer->removals++;
}

void index_writer_clear(struct index_writer *writer)
{
	index_writer_begin(writer);
	for (uint64_t i = 0; writer->index && i < writer->index->entries; i++)
		if (writer->slots[i])
			index_writer_remove(writer, writer->slots[i]);
	index_writer_end(writer);
}

/* A place for the name in a table, where nothing is. */
static uint64_t make_place(
	struct index_writer *writer, const struct index *index, struct alias **slots, uint64_t hash)
{
	uint64_t oldest = UINT64_MAX;

	for (unsigned i = 0; i < WIRE_INDEX_PROBES; i++) {
		uint64_t place = index_place(index, hash, i);

		if (!slots[place])
			return place;
		if (oldest == UINT64_MAX ||
			slots[place]->image->used_at < slots[oldest]->image->used_at)
			oldest = place;
	}
	index_writer_remove(writer, slots[oldest]);
	writer->displaced = true;
	return oldest;
}

void index_writer_put(
	struct index_writer *writer, struct alias *alias, const struct index_answer *answer)
{
	struct index_key key = key_of(writer, alias);
	uint64_t hash, place;

	if (!writer->index || key.length > WIRE_INDEX_NAME_MAX)
		return;
	hash = index_hash(writer->index, &key);
	index_writer_begin(writer);
	place = find(writer->index, writer->slots, alias, hash);
	if (place == UINT64_MAX) {
		place = make_place(writer, writer->index, writer->slots, hash);
		writer->count++;
	}
	writer->slots[place] = alias;
	index_write(writer->index, place, hash, &key, answer);
	alias->indexed = true;
	if (writer->aside_slots) {
		place = find(&writer->aside, writer->aside_slots, alias, hash);
		if (place == UINT64_MAX)
			place = make_place(writer, &writer->aside, writer->aside_slots, hash);
		writer->aside_slots[place] = alias;
		index_write(&writer->aside, place, hash, &key, answer);
	}
	index_writer_end(writer);
}

struct alias *index_writer_at(const struct index_writer *writer, uint64_t place)
{
	return writer->index && place < writer->index->entries ? writer->slots[place] : NULL;
}

/* ---- growth ---- */

uint64_t index_writer_wanted(const struct index_writer *writer)
{
	const struct index *index = writer->index;

	if (!index || writer->aside_slots || index->entries >= WIRE_INDEX_MAX ||
		(2 * writer->count <= index->entries &&
			!(writer->displaced && 4 * writer->count > index->entries)))
		return 0;
	return 2 * index->entries;
}

bool index_writer_grow_begin(struct index_writer *writer, uint64_t table, uint64_t entries)
{
	writer->aside_slots = calloc(entries, sizeof *writer->aside_slots);
	writer->aside = *writer->index;
	writer->aside.table = table;
	writer->aside.entries = entries;
	return writer->aside_slots;
}

/* Copies an entry to the new table; without a place there it is left out of both. */
static void carry_over(struct index_writer *writer, uint64_t from)
{
	struct alias *alias = writer->slots[from];
	struct index_key key = key_of(writer, alias);
	uint64_t hash = index_hash(writer->index, &key), to = 0;
	unsigned i = 0;

	if (find(&writer->aside, writer->aside_slots, alias, hash) != UINT64_MAX)
		return;
	while (i < WIRE_INDEX_PROBES &&
		writer->aside_slots[to = index_place(&writer->aside, hash, i)])
		i++;
	if (i == WIRE_INDEX_PROBES) {
		index_writer_remove(writer, alias);
		return;
	}
	writer->aside_slots[to] = alias;
	index_copy(&writer->aside, to, writer->index, from);
}

bool index_writer_grow(struct index_writer *writer, uint64_t *at)
{
	uint64_t end = *at + GROW_STEP;

	if (end > writer->index->entries)
		end = writer->index->entries;
	for (; *at < end; ++*at)
		if (writer->slots[*at])
			carry_over(writer, *at);
	if (end < writer->index->entries)
		return false;
	index_writer_begin(writer);
	index_move(writer->index, writer->aside.table, writer->aside.entries);
	index_writer_end(writer);
	free(writer->slots);
	writer->slots = writer->aside_slots;
	writer->aside_slots = NULL;
	writer->displaced = false;
	return true;
}
