#include "server/shard_reader.h"

#include "base/io.h"
#include "server/files.h"
#include "server/tar_header.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Headers, those of folders and the further ones of pax and GNU tar included. */
#define HEADERS_MAX ((uint64_t)8 << 20)

/* Data of one that says more of the next member. */
#define EXTENDED_MAX ((uint64_t)1 << 20)

/* Read at once: a header, and often what belongs to it. */
#define WINDOW (4 * TAR_BLOCK)

/* A shard as it is read. */
struct reader {
	int fd;
	uint64_t size, at;
	uint64_t headers;
	struct shard_content *content;
	uint64_t entries_room, names_room;
	bool sorted;
	int failed; /* errno of what ends it all */
	uint8_t window[WINDOW];
	uint64_t window_at, window_size;
	/* What was said of the next member. */
	struct tar_pax pax;
	char *extended; /* the data of that, or a long name */
	bool has_long_name;
};

/* Nothing behind this can be read. */
static bool fault(struct reader *reader, uint64_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool fault(struct reader *reader, uint64_t at, const char *format, ...)
{
	char *text = reader->content->header.fault;
	size_t size = sizeof reader->content->header.fault;
	int used = snprintf(text, size, "at byte %" PRIu64 " ", at);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, size - (size_t)used, format, arguments);
	va_end(arguments);
	return false;
}

static bool out_of_memory(struct reader *reader)
{
	reader->failed = ENOMEM;
	return false;
}

/* The block at reader->at, which is whole in the file; NULL if that cannot be read. */
static const uint8_t *read_block(struct reader *reader)
{
	uint64_t into = reader->at - reader->window_at;
	ssize_t got;

	if (reader->at >= reader->window_at && into + TAR_BLOCK <= reader->window_size)
		return reader->window + into;
	reader->window_at = reader->at;
	reader->window_size = 0;
	got = pread_full(reader->fd, reader->window, sizeof reader->window, (off_t)reader->at);
	if (got < (ssize_t)TAR_BLOCK) {
		/* It became shorter: who asked compares the keys. */
		reader->failed = got < 0 ? errno : ESTALE;
		return NULL;
	}
	reader->window_size = (uint64_t)got;
	return reader->window;
}

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
static bool make_room(struct reader *reader, size_t length)
{
	struct shard_content *content = reader->content;
	struct shard_entry *entries = grow(content->entries, &reader->entries_room,
		content->header.count + 1, sizeof *entries);
	char *names;

	if (!entries)
		return false;
	content->entries = entries;
	names = grow(content->names, &reader->names_room, content->header.names + length + 1, 1);
	if (!names)
		return false;
	content->names = names;
	return true;
}

static bool add(
	struct reader *reader, const struct shard_entry *like, const char *name, size_t length)
{
	struct shard_content *content = reader->content;
	struct shard_header *header = &content->header;
	struct shard_entry *entry;

	if ((header->count + 1) * (sizeof *entry + sizeof *content->images) + header->names +
			length + 1 + sizeof *header >
		SHARD_INDEX_MAX)
		return fault(reader, reader->at, "its index is over the limit of 256 MiB");
	if (!make_room(reader, length))
		return out_of_memory(reader);
	if (header->count && reader->sorted)
		reader->sorted = strcmp(content->names + content->entries[header->count - 1].name,
					 name) < 0;
	entry = &content->entries[header->count++];
	*entry = *like;
	entry->name = (uint32_t)header->names;
	entry->length = (uint16_t)length;
	memcpy(content->names + header->names, name, length + 1);
	header->names += length + 1;
	return true;
}

/* Takes up a member by its name, unless nobody could ask for it by that: then it is as if it were
 * not there. */
static bool add_named(
	struct reader *reader, const struct shard_entry *like, const char *name, size_t length)
{
	char plain[SHARD_NAME_MAX + 1];

	while (length > 2 && name[0] == '.' && name[1] == '/')
		for (name += 2, length -= 2; length > 1 && *name == '/'; name++)
			length--;
	if (!length || length > SHARD_NAME_MAX || memchr(name, '\0', length))
		return true;
	memcpy(plain, name, length);
	plain[length] = '\0';
	return !files_name_plain(plain) || add(reader, like, plain, length);
}

static enum shard_kind kind_of(const struct reader *reader, const struct tar_header *header)
{
	if (header->kind == TAR_SPARSE || reader->pax.sparse)
		return SHARD_SPARSE;
	if (header->kind == TAR_LINK)
		return SHARD_LINK;
	return header->kind == TAR_FILE ? SHARD_FILE : SHARD_SPECIAL;
}

static void forget_extended(struct reader *reader)
{
	free(reader->extended);
	reader->extended = NULL;
	reader->has_long_name = false;
	reader->pax = (struct tar_pax){0};
}

/* A member whose data begin at reader->at. */
static bool take_member(struct reader *reader, const struct tar_header *header, uint64_t size)
{
	const struct shard_entry like = {
		.offset = reader->at, .size = size, .kind = (uint16_t)kind_of(reader, header)};
	const char *name = header->name;
	size_t length = strlen(name);

	if (header->kind == TAR_FOLDER)
		return true;
	if (reader->pax.name) {
		name = reader->pax.name;
		length = reader->pax.name_length;
	} else if (reader->has_long_name) {
		name = reader->extended;
		length = strlen(name);
	}
	return add_named(reader, &like, name, length);
}

/* Reads the data of a header that says more of the next member. */
static bool take_extended(struct reader *reader, const struct tar_header *header, uint64_t from)
{
	const char *wrong;
	ssize_t got;

	if (header->size > EXTENDED_MAX)
		return fault(reader, from, "an extended header is over the limit of 1 MiB");
	/* A pax header may follow a long name, which then counts for nothing. */
	forget_extended(reader);
	reader->extended = malloc((size_t)header->size + 1);
	if (!reader->extended)
		return out_of_memory(reader);
	got = pread_full(reader->fd, reader->extended, (size_t)header->size, (off_t)reader->at);
	if (got != (ssize_t)header->size) {
		reader->failed = got < 0 ? errno : ESTALE;
		return false;
	}
	reader->extended[header->size] = '\0';
	reader->has_long_name = header->kind == TAR_LONG_NAME;
	if (reader->has_long_name)
		return true;
	wrong = tar_pax_read(reader->extended, (size_t)header->size, &reader->pax);
	return !wrong || fault(reader, from, "%s", wrong);
}

/* Passes by the blocks that say where a sparse member's holes are. */
static bool skip_map(struct reader *reader, uint64_t from)
{
	const uint8_t *block;

	do {
		if (reader->size - reader->at < TAR_BLOCK)
			return fault(reader, from, "a member goes on behind the shard's end");
		block = read_block(reader);
		if (!block)
			return false;
		reader->at += TAR_BLOCK;
	} while (tar_sparse_more(block));
	return true;
}

/* What a header stands for, from its data on. */
static bool take(struct reader *reader, const struct tar_header *header, uint64_t from)
{
	bool extended = header->kind == TAR_PAX || header->kind == TAR_LONG_NAME;
	bool of_member = !extended && header->kind != TAR_IGNORED;
	uint64_t size = header->has_data && of_member && reader->pax.has_size ? reader->pax.size
									      : header->size,
		 rest;

	if (header->more_blocks && !skip_map(reader, from))
		return false;
	rest = reader->size - reader->at;
	if (size > rest)
		return fault(reader, from, "a member goes on behind the shard's end");
	if (extended ? !take_extended(reader, header, from)
		     : of_member && !take_member(reader, header, size))
		return false;
	if (of_member)
		forget_extended(reader);
	/* What fills the last block may be missing at the end. */
	size += (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
	reader->at += size < rest ? size : rest;
	return true;
}

/* What the first bytes tell of a file that is no tar file. */
static const char *packed_by(const uint8_t *block)
{
	static const struct {
		const char *magic, *program;
	} known[] = {{"\x1f\x8b", "gzip"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"\xfd\x37zXZ", "xz"},
		{"BZh", "bzip2"}, {"\x04\x22\x4d\x18", "lz4"}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!memcmp(block, known[i].magic, strlen(known[i].magic)))
			return known[i].program;
	return NULL;
}

/* One header with what belongs to it; false: that was the last. */
static bool read_next(struct reader *reader)
{
	uint64_t from = reader->at;
	struct tar_header header;
	const char *wrong, *packed;
	const uint8_t *block;

	if (reader->at == reader->size)
		return false;
	if (reader->size - reader->at < TAR_BLOCK)
		return fault(reader, from, "it ends within a header");
	if (++reader->headers > HEADERS_MAX)
		return fault(reader, from, "there are more than %" PRIu64 " headers", HEADERS_MAX);
	block = read_block(reader);
	if (!block)
		return false;
	wrong = tar_header_read(block, &header);
	packed = wrong && !from ? packed_by(block) : NULL;
	if (packed)
		return fault(reader, from,
			"it is compressed by %s; only plain tar files are served", packed);
	if (wrong)
		return fault(reader, from, "a header is damaged: %s", wrong);
	reader->at += TAR_BLOCK;
	return header.kind != TAR_END && take(reader, &header, from);
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

/* What a list of names has of it; false when out of memory. */
static bool list_images(struct shard_content *content)
{
	struct shard_header *header = &content->header;
	uint64_t room = 0;

	for (uint64_t i = 0; i < header->count; i++) {
		const struct shard_entry *entry = &content->entries[i];
		uint32_t *images;

		if (entry->kind != SHARD_FILE ||
			!files_image_extension(content->names + entry->name))
			continue;
		images = grow(content->images, &room, header->images + 1, sizeof *images);
		if (!images)
			return false;
		content->images = images;
		images[header->images++] = (uint32_t)i;
	}
	return true;
}

int shard_read(int fd, uint64_t size, struct shard_content *ret, struct error *err)
{
	struct reader reader = {.fd = fd, .size = size, .content = ret, .sorted = true};

	*ret = (struct shard_content){.header = {.magic = SHARD_MAGIC, .shard = size}};
	while (read_next(&reader))
		;
	forget_extended(&reader);
	if (reader.failed) {
		shard_content_release(ret);
		if (reader.failed == ESTALE)
			return error_set(err, STATUS_TRY_AGAIN, "became shorter while it was read");
		return error_os(err, reader.failed, "cannot be read");
	}
	if (!reader.sorted)
		sort(ret);
	if (list_images(ret))
		return STATUS_OK;
	shard_content_release(ret);
	return error_os(err, ENOMEM, "cannot be read");
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
