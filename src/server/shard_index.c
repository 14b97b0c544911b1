#include "server/shard_index.h"

#include <string.h>

_Static_assert(sizeof(struct shard_entry) == 24 && sizeof(struct shard_header) == 224,
	"an index has no padding");

bool shard_index_check(const struct shard_index *index)
{
	const struct shard_header *header = index->header;
	const uint64_t room = index->size - sizeof *header;

	return index->size >= sizeof *header && index->size <= SHARD_INDEX_MAX &&
	       header->magic == SHARD_MAGIC && header->count <= room / sizeof(struct shard_entry) &&
	       header->names == room - header->count * sizeof(struct shard_entry) &&
	       memchr(header->fault, '\0', sizeof header->fault);
}

static const struct shard_entry *entries(const struct shard_index *index)
{
	return (const struct shard_entry *)(index->header + 1);
}

const struct shard_entry *shard_index_at(
	const struct shard_index *index, uint64_t number, const char **ret_name)
{
	const struct shard_header *header = index->header;
	const struct shard_entry *entry = &entries(index)[number];
	const char *name = (const char *)(entries(index) + header->count) + entry->name;

	if (entry->name >= header->names || entry->length >= header->names - entry->name ||
		strnlen(name, (size_t)entry->length + 1) != entry->length)
		return NULL;
	if (entry->offset > header->shard || entry->size > header->shard - entry->offset)
		return NULL;
	*ret_name = name;
	return entry;
}

const struct shard_entry *shard_index_find(const struct shard_index *index, const char *name)
{
	uint64_t low = 0, high = index->header->count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		const char *there;
		const struct shard_entry *entry = shard_index_at(index, middle, &there);
		int order = entry ? strcmp(name, there) : 0;

		if (!order)
			return entry;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

int shard_entry_check(const struct shard_entry *entry, const char *shown, struct error *err)
{
	switch ((enum shard_kind)entry->kind) {
	case SHARD_FILE:
		return STATUS_OK;
	case SHARD_LINK:
		return error_set(err, STATUS_BAD_DATA,
			"%s: is a link in the shard; only plain members are served", shown);
	case SHARD_SPARSE:
		return error_set(err, STATUS_BAD_DATA,
			"%s: is sparse in the shard; only plain members are served", shown);
	case SHARD_TWICE:
		return error_set(err, STATUS_BAD_DATA, "%s: is in the shard twice", shown);
	case SHARD_SPECIAL:
		break;
	}
	return error_set(err, STATUS_BAD_DATA,
		"%s: is not a plain member of the shard; no other is served", shown);
}
