#include "image/png_survey.h"

#include "base/number.h"
#include "base/text.h"
#include "image/png_chunks.h"
#include "image/png_exif.h"

#include <stdio.h>
#include <string.h>

struct survey {
	struct image_reader *reader;
	uint32_t ancillary; /* chunks seen, but for the frames of an animation */
	bool in_pixels;     /* an IDAT was seen */
	unsigned text_orientation;
};

static void warn_of_oversized(struct survey *survey, const struct png_chunk *chunk)
{
	char warning[160], type[32], size[SIZE_TEXT_SIZE], limit[SIZE_TEXT_SIZE];

	snprintf(warning, sizeof warning,
		"a chunk %s of %s is over the limit of %s (serve --max-chunk) and left out",
		text_escape((const char *)chunk->type, 4, type, sizeof type),
		format_size(chunk->length, size),
		format_size(survey->reader->limits.chunk_bytes, limit));
	reader_warn(survey->reader, warning);
}

static int survey_ancillary(struct survey *survey, const struct png_chunk *chunk, struct error *err)
{
	struct image_reader *reader = survey->reader;
	const struct image_limits *limits = &reader->limits;

	survey->ancillary++;
	if (limits->chunks && survey->ancillary > limits->chunks)
		return error_set(err, STATUS_BAD_DATA,
			"more ancillary chunks than the limit of %u (serve --max-chunks)",
			limits->chunks);
	if (png_chunk_is(chunk, "acTL"))
		reader->info.animated = true;
	if (png_chunk_is(chunk, "tEXt") || png_chunk_is(chunk, "zTXt") ||
		png_chunk_is(chunk, "iTXt"))
		reader->info.comments++;
	if (png_chunk_is_oversized(chunk, limits->chunk_bytes)) {
		warn_of_oversized(survey, chunk);
		return STATUS_OK;
	}
	if (survey->in_pixels || survey->text_orientation)
		return STATUS_OK;
	return png_exif_orientation(chunk, limits->memory, &survey->text_orientation, err);
}

/* Only chunk headers are read, and Exif. What is broken is left for libpng to explain; what is
 * behind IEND is no part of the image. */
static int survey_chunks(struct image_reader *reader, struct error *err)
{
	struct survey survey = {.reader = reader};
	size_t at = PNG_SIGNATURE_SIZE;
	struct png_chunk chunk;

	while (png_chunk_read(reader->data, reader->size, at, &chunk)) {
		int status = STATUS_OK;

		if (png_chunk_is(&chunk, "IEND"))
			break;
		survey.in_pixels |= png_chunk_is(&chunk, "IDAT");
		if (png_chunk_is_ancillary(&chunk) && !png_chunk_is_frame(&chunk))
			status = survey_ancillary(&survey, &chunk, err);
		if (status)
			return status;
		at = chunk.next;
	}
	reader->info.orientation = (uint8_t)survey.text_orientation;
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
