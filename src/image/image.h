/*
 * PNG and JPEG, from bytes in memory to pixels in memory that the caller provides. Knows nothing of
 * processes or segments.
 *
 * Ask for the size first, then decode into memory of that size:
 *
 *	image_reader_new(&reader, &err);
 *	image_probe(reader, data, size, &options, &limits, &info, &err);
 *	pixels = <info.bytes bytes from anywhere>
 *	image_decode(reader, pixels, info.bytes, &warning, &err);
 *
 * Pixels are interleaved samples, rows top-down without padding, native byte order for 16-bit
 * samples. A reader belongs to one thread. It keeps buffers from one image to the next and nothing
 * else: what a file decodes to does not depend on those before it.
 */
#pragma once

#include "base/error.h"
#include "base/image_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum image_format {
	IMAGE_FORMAT_UNKNOWN,
	IMAGE_FORMAT_PNG,
	IMAGE_FORMAT_JPEG,
};

/* What is refused, each with an error message of its own. Zero means no limit. */
struct image_limits {
	uint64_t pixels;      /* width x height in the file */
	uint64_t bytes;       /* of decoded pixels */
	uint64_t memory;      /* bytes a codec may allocate for itself */
	uint64_t chunk_bytes; /* of one ancillary PNG chunk, as it is and inflated: what is over
				 it is left out with a warning */
	uint32_t side;        /* width or height in the file */
	uint32_t scans;       /* of a progressive or otherwise multi-scan JPEG */
	uint32_t chunks;      /* ancillary PNG chunks; APP1, APP2 and COM markers of a JPEG */
};

struct image_info {
	uint64_t bytes;         /* of pixels: width x height x channels x bits / 8 */
	uint32_t width, height; /* as delivered: after orientation and scale */
	uint8_t channels;       /* 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA */
	uint8_t bits;           /* a sample: 8 or 16 */
	uint8_t format;         /* enum image_format */
	uint8_t orientation;    /* as the file says: EXIF 1 to 8, 0 if it says nothing */
	uint8_t scale;          /* applied by the codec: 1, 2, 4 or 8 */
	uint8_t file_bits;      /* a sample in the file */
	uint8_t file_channels;  /* in the file, a palette counting as what it expands to; 4 in a
				   JPEG are CMYK, which is delivered as RGB */
	uint8_t progressive;    /* progressive JPEG or interlaced PNG */
	uint8_t cmyk;           /* the four channels are CMYK, of which 255 is no ink */
	uint8_t animated;       /* animated PNG: the default image is delivered */
	uint8_t srgb;           /* PNG sRGB: 1 + rendering intent; 0 if it says nothing */
	uint32_t file_width, file_height;
	uint32_t icc_bytes; /* of the colour profile; 0 for none */
	uint32_t gamma;     /* PNG gAMA x 100000; 0 if it says nothing */
	/* PNG cHRM x 100000: x and y of white, red, green and blue; zeros if it says nothing */
	int32_t chromaticities[8];
	uint32_t comments; /* text chunks of a PNG, COM markers of a JPEG */
};

struct image_reader;

/* Has the codecs do what they do once in a process, and what may need more than a sandbox allows
 * (files that tell what the processor can do). To be called before one is entered. */
int image_prepare(struct error *err);

/* Makes a reader; free it with image_reader_free, which takes NULL and returns NULL. Before the first
 * one the libraries are loaded: STATUS_UNAVAILABLE if one of them is not there. */
int image_reader_new(struct image_reader **ret, struct error *err);
struct image_reader *image_reader_free(struct image_reader *reader);

/* Has PNG read by libpng alone, for comparison: it is slower, and nothing else is different. */
void image_reader_by_libpng(struct image_reader *reader, bool alone);

/* The format by content, never by name. */
enum image_format image_sniff(const void *data, size_t size);

/*
 * Reads the header of the image in data[0..size), which must stay until the decode is over, and
 * says what a decode with these options gives. STATUS_BAD_DATA for what is no PNG or JPEG, is
 * broken or over a limit; the message gives the cause and names no file. STATUS_USAGE for options
 * that make no sense. No pixel is decoded yet. `options` and `limits` may be NULL: none.
 */
int image_probe(struct image_reader *reader, const void *data, size_t size,
	const struct image_options *options, const struct image_limits *limits,
	struct image_info *ret, struct error *err);

/* What the codec complained about without failing; text[0] is 0 if it did not. */
struct image_warning {
	char text[200];
};

/*
 * Decodes what was last probed into `pixels`, which has room for `bytes` (at least info.bytes) and
 * is aligned for its samples. Works once for each probe. After an error the pixels are undefined.
 * `ret` may be NULL.
 */
int image_decode(struct image_reader *reader, void *pixels, size_t bytes, struct image_warning *ret,
	struct error *err);

/* What there is to say of the image last probed, before it is decoded. */
struct image_warning image_probe_warning(const struct image_reader *reader);

/* The ICC profile of the image last probed, until the next probe: its bytes (owned by the reader)
 * and their number; NULL if it has none. A profile for other channels than those delivered (CMYK
 * for RGB, RGB for grey) is left out, with a warning. */
const void *image_profile(const struct image_reader *reader, size_t *ret_size);
