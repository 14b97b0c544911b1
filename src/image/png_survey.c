/*
 * A first look at a PNG, at the heads of its chunks alone.
 */
#include "image/png_survey.h"

#include "base/number.h"
#include "base/text.h"

#include <string.h>

static int check_chunk(const struct image_reader *reader, const uint8_t *name, uint32_t length,
	uint32_t count, struct error *err)
{
	const struct image_limits *limits = &reader->limits;
	char text[SIZE_TEXT_SIZE], most[SIZE_TEXT_SIZE], type[32];

	if (limits->chunks && count > limits->chunks)
		return error_set(err, STATUS_BAD_DATA,
			"more ancillary chunks than the limit of %u (--max-chunks)",
			limits->chunks);
	if (limits->chunk_bytes && length > limits->chunk_bytes)
		return error_set(err, STATUS_BAD_DATA,
			"a chunk %s of %s is over the limit of %s (--max-chunk)",
			text_escape((const char *)name, 4, type, sizeof type),
			format_size(length, text), format_size(limits->chunk_bytes, most));
	return STATUS_OK;
}

/*
 * Jumps from chunk to chunk and reads only their heads, before libpng unpacks anything. What is
 * broken is left for libpng to explain. The frames of an animation do not count: they are skipped.
 */
static int survey_chunks(struct image_reader *reader, struct error *err)
{
	const uint8_t *chunk = reader->data + 8, *end = reader->data + reader->size;
	uint32_t count = 0;

	while (end - chunk >= 12) {
		const uint8_t *type = chunk + 4;
		bool frame = memcmp(type, "fcTL", 4) == 0 || memcmp(type, "fdAT", 4) == 0;
		uint32_t length = read_be32(chunk);
		int status;

		if (type[0] & 0x20 && !frame) {
			status = check_chunk(reader, type, length, ++count, err);
			if (status)
				return status;
		}
		if (memcmp(type, "acTL", 4) == 0)
			reader->info.animated = true;
		if (memcmp(type + 1, "TXt", 3) == 0 || memcmp(type, "tEXt", 4) == 0)
			reader->info.comments++;
		if (length > (size_t)(end - chunk) - 12)
			break;
		chunk += 12 + (size_t)length;
	}
	return STATUS_OK;
}

/* The dimensions are the first thing in the file; libpng has its own, mute limits on them. */
static int check_header(struct image_reader *reader, struct error *err)
{
	enum {
		IHDR_END = 8 + 8 + 13
	};

	if (reader->size < IHDR_END || memcmp(reader->data + 12, "IHDR", 4) != 0)
		return STATUS_OK;
	reader->info.file_width = read_be32(reader->data + 16);
	reader->info.file_height = read_be32(reader->data + 20);
	return reader_check_size(reader, err);
}

int png_survey(struct image_reader *reader, struct error *err)
{
	int status = check_header(reader, err);

	return status ? status : survey_chunks(reader, err);
}
