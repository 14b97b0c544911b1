/*
 * Pixels to files: PNG, JPEG, QOI, PNM (P5, P6, PAM) and the bare samples.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum encode_format {
	ENCODE_PNG,
	ENCODE_JPEG,
	ENCODE_PNM,
	ENCODE_RAW,
	ENCODE_QOI,
};

/* Pixels as image.h describes them: interleaved, rows without padding, RGB order, native byte
 * order. */
struct encode_image {
	const void *pixels;
	uint32_t width, height;
	uint8_t channels; /* 1 to 4 */
	uint8_t bits;     /* 8 or 16 */
	const void *icc;  /* colour profile to put into PNG and JPEG, or NULL */
	size_t icc_bytes;
	/* What a PNG says of its colours, as in struct image_info; zero: nothing. */
	uint32_t gamma;
	int32_t chromaticities[8];
	uint8_t srgb;
	bool cmyk; /* 4 channels of ink, 255 being none: to be converted, not written */
};

struct encode_options {
	int quality; /* JPEG, 1 to 100; 0 means 90 */
};

/* The format that "png", "jpeg", "jpg", "pnm", "ppm", "pgm", "pam", "qoi" or "raw" names, in any
 * case; -1 for none. */
int encode_format_of(const char *name);

/* ".png" and so on, the dot included; PNM gives .pgm, .ppm or .pam by the channels. */
const char *encode_extension(enum encode_format format, unsigned channels);

/*
 * Writes the image to `file`. The caller flushes and checks that, too; a write error is STATUS_IO.
 * What the format cannot hold is STATUS_USAGE with the way out: alpha and 16 bits in JPEG, grey and
 * 16 bits in QOI. Of a colour profile, PNG leaves out what does not fit the channels. `options` may
 * be NULL.
 */
int encode_write(FILE *file, enum encode_format format, const struct encode_image *image,
	const struct encode_options *options, struct error *err);
