#include "server/shard_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

_Static_assert(sizeof(struct shard_entry) == 24 && sizeof(struct shard_header) == 232,
	"an index has no padding");

bool shard_index_check(const struct shard_index *index)
{
	const struct shard_header *header = index->header;
	uint64_t room = index->size - sizeof *header;

	if (index->size < sizeof *header || index->size > SHARD_INDEX_MAX ||
		header->magic != SHARD_MAGIC || header->count > room / sizeof(struct shard_entry))
		return false;
	room -= header->count * sizeof(struct shard_entry);
	return header->images <= header->count && header->images <= room / sizeof(uint32_t) &&
	       header->names == room - header->images * sizeof(uint32_t) &&
	       memchr(header->fault, '\0', sizeof header->fault);
}

struct shard_index *shard_index_map(int fd)
{
	const int sealed = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
	int seals = fcntl(fd, F_GET_SEALS);
	struct shard_index *index = calloc(1, sizeof *index);
	struct stat status;
	void *base = MAP_FAILED;

	errno = index ? EBADMSG : ENOMEM;
	if (index && seals >= 0 && (seals & sealed) == sealed && fstat(fd, &status) == 0 &&
		status.st_size > 0)
		base = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		free(index);
		return NULL;
	}
	*index = (struct shard_index){.header = base, .size = (size_t)status.st_size, .users = 1};
	if (shard_index_check(index))
		return index;
	shard_index_drop(index);
	errno = EBADMSG;
	return NULL;
}

struct shard_index *shard_index_hold(struct shard_index *index)
{
	index->users++;
	return index;
}

void shard_index_drop(struct shard_index *index)
{
	if (!index || --index->users)
		return;
	munmap((void *)index->header, index->size);
	free(index);
}

static const struct shard_entry *entries(const struct shard_index *index)
{
	return (const struct shard_entry *)(index->header + 1);
}

static const uint32_t *images(const struct shard_index *index)
{
	return (const uint32_t *)(entries(index) + index->header->count);
}

const struct shard_entry *shard_index_at(
	const struct shard_index *index, uint64_t number, const char **ret_name)
{
	const struct shard_header *header = index->header;
	const struct shard_entry *entry = &entries(index)[number];
	const char *name = (const char *)(images(index) + header->images) + entry->name;

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

const char *shard_index_image(const struct shard_index *index, uint64_t number)
{
	const char *name;

	if (number >= index->header->images || images(index)[number] >= index->header->count ||
		!shard_index_at(index, images(index)[number], &name))
		return NULL;
	return name;
}

uint64_t shard_index_image_behind(const struct shard_index *index, const char *last)
{
	uint64_t low = 0, high = index->header->images;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		const char *there = shard_index_image(index, middle);

		if (there && strcmp(there, last) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
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
