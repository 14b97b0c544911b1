/*
 * Images made on the spot, and what the libraries make of them when used plainly: what the image
 * module is compared with. Failures end the test program.
 */
#pragma once

#include "image/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>
#include <png.h>

struct bytes {
	uint8_t *data; /* the caller frees it */
	size_t size;
};

/* Rows without padding. */
struct picture {
	uint8_t *pixels; /* the caller frees them */
	uint32_t width, height;
	unsigned channels, bits;
};

struct png_sample {
	uint32_t width, height;
	int depth, type; /* as in IHDR */
	bool interlaced, transparent;
	struct bytes exif, icc;
	unsigned comments, private_chunks;
	double gamma;
	int filters;  /* PNG_FILTER_..., 0 for libpng's choice */
	bool remarks; /* sBIT, bKGD, hIST, pHYs, tIME and sPLT, which change no pixel */
};

struct jpeg_sample {
	uint32_t width, height;
	J_COLOR_SPACE input, inside; /* of the pixels given; of the file */
	unsigned across, down;       /* sampling factors of the first component; 0 means 1 */
	unsigned restart;            /* MCUs between restart markers */
	bool progressive, arithmetic;
	unsigned scans; /* not 0: so many if progressive, else one for each component */
	struct bytes exif, icc;
	unsigned comments;
};

struct bytes make_png(const struct png_sample *sample);
struct bytes make_jpeg(const struct jpeg_sample *sample);

/* A TIFF structure that says this orientation, in either byte order; inside the caller's buffer. */
#define EXIF_SIZE 26
struct bytes make_exif(uint8_t buffer[EXIF_SIZE], unsigned orientation, bool big);

/* An ICC profile just good enough for libpng: colour space "RGB ", "GRAY" or "CMYK". */
#define ICC_SIZE 400
struct bytes make_icc(uint8_t buffer[ICC_SIZE], const char *space);

/* The libraries' plain use. */
struct picture plain_png(struct bytes file, bool native_depth);
struct picture plain_jpeg(struct bytes file, unsigned scale, J_COLOR_SPACE output);

/* The same into memory that is there and large enough; NULL means to allocate it. */
struct picture plain_png_into(struct bytes file, bool native_depth, uint8_t *pixels);
struct picture plain_jpeg_into(
	struct bytes file, unsigned scale, J_COLOR_SPACE output, uint8_t *pixels);

/* Adds a chunk with its CRC to a PNG, before the first IDAT. */
void insert_chunk(struct bytes *file, const char *type, const void *data, size_t size);

/* What a decoder is given unless told otherwise. */
extern const struct image_limits usual_limits;

/* Probe and decode; the status. *ret is filled in on success only. */
struct outcome {
	struct image_info info;
	struct image_warning warning;
	struct error error;
	struct picture picture;
};
int decode_picture(struct image_reader *reader, struct bytes file,
	const struct image_options *options, const struct image_limits *limits,
	struct outcome *ret);

/* Fails the test with the place of the first difference. */
void assert_same_picture(const struct picture *a, const struct picture *b, const char *what);
