/*
 * The text is a newline, a name, the number of bytes, and these in hexadecimal with newlines
 * between them:
 *
 *	"\nexif\n      34\n457869660000..."
 */
#include "image/png_exif.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "dynload/libz.h"
#include "image/exif.h"

#include <string.h>

enum {
	EXIF_MAX = 65536,         /* bytes: what an APP1 marker holds, and so all that Exif has */
	TEXT_MAX = 4 * EXIF_MAX,  /* characters looked at */
	INFLATE_MEMORY = 1 << 16, /* what zlib allocates, rounded up */
};

/* The characters of a text, one after the other. */
struct text {
	z_stream zip;
	bool packed;
	bool out_of_memory;
	const uint8_t *at;
	size_t left;
	size_t count; /* characters that were taken */
	uint8_t buffer[512];
};

/* Unpacks the next characters; false at the end. */
static bool refill(struct text *text)
{
	int status;

	if (!text->packed)
		return false;
	text->zip.next_out = text->buffer;
	text->zip.avail_out = sizeof text->buffer;
	status = inflate(&text->zip, Z_NO_FLUSH);
	text->out_of_memory = status == Z_MEM_ERROR;
	text->at = text->buffer;
	text->left = sizeof text->buffer - text->zip.avail_out;
	return text->left > 0;
}

/* The next character; -1 at the end. */
static int take(struct text *text)
{
	if (text->count == TEXT_MAX || (text->left == 0 && !refill(text)))
		return -1;
	text->count++;
	text->left--;
	return *text->at++;
}

/* What stands before the bytes; how many they are, 0 if that is not said. */
static size_t take_head(struct text *text)
{
	size_t size = 0;
	int c = take(text);

	if (c != '\n')
		return 0;
	do
		c = take(text);
	while (c > 0 && c != '\n');
	do
		c = take(text);
	while (c == ' ');
	for (; c >= '0' && c <= '9' && size < EXIF_MAX; c = take(text))
		size = 10 * size + (size_t)(c - '0');
	return size < EXIF_MAX ? size : EXIF_MAX;
}

static int hexadecimal(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static size_t take_bytes(struct text *text, uint8_t *bytes, size_t size)
{
	size_t digits = 0;
	int c;

	memset(bytes, 0, size);
	while (digits < 2 * size && (c = take(text)) >= 0) {
		int digit = hexadecimal(c);

		if (digit < 0 && c != '\n')
			break;
		if (digit < 0)
			continue;
		bytes[digits / 2] |= (uint8_t)(digits % 2 ? digit : digit << 4);
		digits++;
	}
	return digits / 2;
}

static int orientation_of(struct text *text, unsigned *ret, struct error *err)
{
	static const char marker[] = "Exif\0"; /* and another zero */
	size_t size = take_head(text), skipped = 0;
	AUTO_FREE uint8_t *bytes = malloc(size ? size : 1);

	if (!bytes || text->out_of_memory)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	size = take_bytes(text, bytes, size);
	if (text->out_of_memory)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	if (size > sizeof marker && memcmp(bytes, marker, sizeof marker) == 0)
		skipped = sizeof marker;
	*ret = exif_orientation(bytes + skipped, size - skipped);
	return STATUS_OK;
}

/* Where the text begins in the chunk's data; 0 if it is no such profile. */
static size_t text_start(const struct png_chunk *chunk, bool packed)
{
	static const char *const keywords[] = {"Raw profile type exif", "Raw profile type APP1"};
	size_t size = strlen(keywords[0]) + 1;

	if (chunk->length < size + packed || (packed && chunk->data[size] != 0))
		return 0;
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
		if (memcmp(chunk->data, keywords[i], size) == 0)
			return size + packed;
	return 0;
}

int png_exif_orientation(const struct png_chunk *chunk, uint64_t memory_limit,
	unsigned *ret_orientation, struct error *err)
{
	struct text text = {.packed = png_chunk_is(chunk, "zTXt")};
	char limit[SIZE_TEXT_SIZE];
	size_t start;
	int status;

	if (!chunk->complete || (!text.packed && !png_chunk_is(chunk, "tEXt")))
		return STATUS_OK;
	start = text_start(chunk, text.packed);
	if (!start || !png_chunk_crc_is_right(chunk))
		return STATUS_OK;
	if (memory_limit && memory_limit < EXIF_MAX + INFLATE_MEMORY)
		return error_set(err, STATUS_BAD_DATA,
			"decoding needs more than the memory limit of %s",
			format_size(memory_limit, limit));
	text.at = chunk->data + start;
	text.left = chunk->length - start;
	if (!text.packed)
		return orientation_of(&text, ret_orientation, err);
	text.zip.next_in = (z_const Bytef *)text.at;
	text.zip.avail_in = (uInt)text.left;
	text.left = 0;
	if (inflateInit2(&text.zip, MAX_WBITS) != Z_OK)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	status = orientation_of(&text, ret_orientation, err);
	inflateEnd(&text.zip);
	return status;
}
