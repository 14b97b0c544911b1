#include "server/shard_content.h"

#include "base/io.h"
#include "server/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The block with room for `wanted` things of `size` bytes; NULL, with the block as it was, if there is no
 * memory. */
static void *grow(void *block, uint64_t *room, uint64_t wanted, size_t size)
{
	void *grown = block;

	if (wanted > *room) {
		grown = realloc(block, 2 * wanted * size);
		if (grown)
			*room = 2 * wanted;
	}
	return grown;
}

/* Makes room for a member whose name has that length. */
static bool make_room(struct shard_content *content, size_t length)
{
	struct shard_entry *entries = grow(content->entries, &content->entries_room,
		content->header.count + 1, sizeof *entries);
	char *names;

	if (!entries)
		return false;
	content->entries = entries;
	names = grow(content->names, &content->names_room, content->header.names + length + 1, 1);
	if (!names)
		return false;
	content->names = names;
	return true;
}

int shard_content_add(struct shard_content *content, const struct shard_entry *like,
	const char *name, size_t length)
{
	struct shard_header *header = &content->header;
	struct shard_entry *entry;

	if ((header->count + 1) * (sizeof *entry + sizeof *content->images) + header->names +
			length + 1 + sizeof *header >
		SHARD_INDEX_MAX)
		return EFBIG;
	if (!make_room(content, length))
		return ENOMEM;
	if (header->count && !content->unsorted)
		content->unsorted = strcmp(content->names +
						    content->entries[header->count - 1].name,
					    name) >= 0;
	entry = &content->entries[header->count++];
	*entry = *like;
	entry->name = (uint32_t)header->names;
	entry->length = (uint16_t)length;
	memcpy(content->names + header->names, name, length + 1);
	header->names += length + 1;
	return 0;
}

/* The names that qsort compares, which gives its function nothing else. */
static const char *compared;

static int compare(const void *a, const void *b)
{
	const struct shard_entry *one = a, *other = b;

	return strcmp(compared + one->name, compared + other->name);
}

/* Puts the entries in order, and of each name that is there twice leaves one that says so. */
static void sort(struct shard_content *content)
{
	struct shard_entry *entries = content->entries;
	uint64_t kept = 0;

	compared = content->names;
	qsort(entries, content->header.count, sizeof *entries, compare);
	for (uint64_t i = 1; i < content->header.count; i++)
		if (compare(&entries[kept], &entries[i]))
			entries[++kept] = entries[i];
		else
			entries[kept].kind = SHARD_TWICE;
	content->header.count = kept + 1;
}

/* As files are: images that are not hidden. */
static bool is_listed(const char *name)
{
	return *name != '.' && !strstr(name, "/.") && files_image_extension(name);
}

/* What a list of names has of it; false when out of memory. */
static bool list_images(struct shard_content *content)
{
	struct shard_header *header = &content->header;
	uint64_t room = 0;

	for (uint64_t i = 0; i < header->count; i++) {
		const struct shard_entry *entry = &content->entries[i];
		uint32_t *images;

		if (entry->kind != SHARD_FILE || !is_listed(content->names + entry->name))
			continue;
		images = grow(content->images, &room, header->images + 1, sizeof *images);
		if (!images)
			return false;
		content->images = images;
		images[header->images++] = (uint32_t)i;
	}
	return true;
}

bool shard_content_finish(struct shard_content *content)
{
	if (content->unsorted)
		sort(content);
	return list_images(content);
}

void shard_content_release(struct shard_content *content)
{
	free(content->entries);
	free(content->images);
	free(content->names);
	*content = (struct shard_content){0};
}

int shard_content_write(const struct shard_content *content, int fd)
{
	const struct shard_header *header = &content->header;

	if (write_full(fd, header, sizeof *header) != 0 ||
		write_full(fd, content->entries, header->count * sizeof *content->entries) != 0 ||
		write_full(fd, content->images, header->images * sizeof *content->images) != 0)
		return -1;
	return write_full(fd, content->names, header->names);
}
