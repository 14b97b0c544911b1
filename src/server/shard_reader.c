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
	int failed; /* errno of what ends it all */
	uint8_t window[WINDOW];
	uint64_t window_at, window_size;
	/* What was said of the next member. */
	struct tar_pax pax;
	char *pax_data, *long_name; /* NULL: nothing */
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
	if (!files_name_plain(plain))
		return true;
	switch (shard_content_add(reader->content, like, plain, length)) {
	case 0:
		return true;
	case EFBIG:
		return fault(reader, reader->at, "its index is over the limit of 256 MiB");
	default:
		return out_of_memory(reader);
	}
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
	free(reader->pax_data);
	free(reader->long_name);
	reader->pax_data = reader->long_name = NULL;
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
	} else if (reader->long_name) {
		name = reader->long_name;
		length = strlen(name);
	}
	return add_named(reader, &like, name, length);
}

/* Reads the data of a header that says more of the next member. Of two of a kind the last counts, as for GNU
 * tar. */
static bool take_extended(struct reader *reader, const struct tar_header *header, uint64_t from)
{
	bool is_pax = header->kind == TAR_PAX;
	char **data = is_pax ? &reader->pax_data : &reader->long_name;
	const char *wrong;
	ssize_t got;

	if (header->size > EXTENDED_MAX)
		return fault(reader, from, "an extended header is over the limit of 1 MiB");
	free(*data);
	*data = malloc((size_t)header->size + 1);
	if (!*data)
		return out_of_memory(reader);
	got = pread_full(reader->fd, *data, (size_t)header->size, (off_t)reader->at);
	if (got != (ssize_t)header->size) {
		reader->failed = got < 0 ? errno : ESTALE;
		return false;
	}
	(*data)[header->size] = '\0';
	if (!is_pax)
		return true;
	wrong = tar_pax_read(*data, (size_t)header->size, &reader->pax);
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

static bool is_packed(struct reader *reader, const char *program)
{
	return fault(reader, 0, "it is compressed by %s; only plain tar files are served", program);
}

/* Less than a block is left. */
static bool ends_early(struct reader *reader)
{
	uint8_t rest[8] = {0};
	const char *packed = NULL;

	if (!reader->at && pread_full(reader->fd, rest, sizeof rest, 0) >= 0)
		packed = packed_by(rest);
	return packed ? is_packed(reader, packed)
		      : fault(reader, reader->at, "it ends within a header");
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
		return ends_early(reader);
	if (++reader->headers > HEADERS_MAX)
		return fault(reader, from, "there are more than %" PRIu64 " headers", HEADERS_MAX);
	block = read_block(reader);
	if (!block)
		return false;
	wrong = tar_header_read(block, &header);
	packed = wrong && !from ? packed_by(block) : NULL;
	if (packed)
		return is_packed(reader, packed);
	if (wrong)
		return fault(reader, from, "a header is damaged: %s", wrong);
	reader->at += TAR_BLOCK;
	return header.kind != TAR_END && take(reader, &header, from);
}

int shard_read(int fd, uint64_t size, struct shard_content *ret, struct error *err)
{
	struct reader reader = {.fd = fd, .size = size, .content = ret};

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
	if (shard_content_finish(ret))
		return STATUS_OK;
	shard_content_release(ret);
	return error_os(err, ENOMEM, "cannot be read");
}
