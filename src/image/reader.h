/*
 * What the codecs share: the reader, and the decisions that do not depend on the format.
 */
#pragma once

#include "image/geometry.h"
#include "image/image.h"
#include "image/rows.h"

struct png_codec;
struct jpeg_codec;

struct image_reader {
	const uint8_t *data; /* the file; the caller's */
	size_t size;
	struct image_options options;
	struct image_limits limits;
	struct image_info info;
	struct geometry geometry; /* of what the codec makes, and of what is delivered of it */
	/* Not NULL: gets the rows of what the codec makes, as in struct rows_plan. */
	void (*take)(void *context, const uint8_t *row);
	void *context;
	struct image_warning warning;
	struct rows rows;
	uint8_t *profile;        /* ICC, info.icc_bytes of it */
	struct png_codec *png;   /* made at the first PNG */
	struct jpeg_codec *jpeg; /* made at the first JPEG */
	bool ready;              /* probed and not yet decoded */
	bool by_libpng;          /* as image_reader_by_libpng says */
};

/* Checks info.file_width and file_height against the limits. */
int reader_check_size(const struct image_reader *reader, struct error *err);

/* Works out, from the file_ fields, the orientation and the options, what will be delivered. */
int reader_settle(struct image_reader *reader, struct error *err);

/* The orientation to apply, 1 to 8. */
unsigned reader_orientation(const struct image_reader *reader);

/* The plan of the rows, for pixels as settled; the codec says what it hands in. */
struct rows_plan reader_plan(const struct image_reader *reader, enum rows_filter filter,
	uint32_t width, uint32_t height);

/* Keeps a copy of the profile, if it describes pixels of the kind delivered. */
int reader_keep_profile(
	struct image_reader *reader, const void *profile, size_t size, struct error *err);

/* Keeps the first complaint of an image, made fit to print. */
void reader_warn(struct image_reader *reader, const char *text);
