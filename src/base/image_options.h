/*
 * What is asked of an image: by command and library, in a seat of the exchange, of a decoder, and as a
 * part of what is stored. The same bytes everywhere.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum image_layout {
	IMAGE_LAYOUT_RGB, /* R, G, B(, A) in memory order; also grey and grey + alpha */
	IMAGE_LAYOUT_BGR, /* B, G, R(, A) */
};

enum image_flags {
	IMAGE_NATIVE_DEPTH = 1 << 0,     /* 16-bit samples stay 16-bit */
	IMAGE_KEEP_ORIENTATION = 1 << 1, /* do not apply the EXIF orientation */
	IMAGE_PREMULTIPLY = 1 << 2,      /* colours multiplied by alpha */
	IMAGE_STRICT = 1 << 3,           /* damaged pixels are an error for JPEG, too */
	IMAGE_LENIENT = 1 << 4,          /* a damaged end is a warning for PNG, too; the pixels
					    that are missing are zero */
	IMAGE_DRAFT = 1 << 5,            /* a JPEG is first reduced by its codec, to 1/2, 1/4 or
					    1/8, as long as it stays as large as the size asked for:
					    faster, and other pixels */
	IMAGE_CROP_CENTRED = 1 << 6,     /* the crop lies in the middle */
	IMAGE_KEEP_CMYK = 1 << 7,        /* CMYK that has a profile for it stays CMYK, where neither
					    grey nor alpha is asked for */
};

/* The filters of Pillow's Image.resize(). */
enum image_resample {
	IMAGE_BICUBIC,
	IMAGE_BOX,
	IMAGE_BILINEAR,
	IMAGE_LANCZOS,
};

/*
 * What is asked for. All zero: the whole image, 8 bits a sample, channels as the file has them,
 * turned as its EXIF orientation says (JPEG's APP1; a PNG's eXIf or, without one, a text chunk "Raw
 * profile type exif" or "Raw profile type APP1", each only before the pixels).
 *
 * Channels that are not asked for are dropped (alpha is not blended with anything), missing alpha
 * is opaque. Grey is round(0.299 R + 0.587 G + 0.114 B) of the samples otherwise delivered,
 * whatever the file says of its colours. A JPEG is scaled in its DCT, a PNG by the mean of squares,
 * in which colours count as much as they are opaque. Sizes and crops are those of the upright
 * image, or of the image as it lies if its orientation is kept. Pixels of an exact size are those
 * that Pillow's resize() makes of the pixels otherwise delivered, `box` being the crop; with alpha
 * and IMAGE_PREMULTIPLY, what it makes of mode RGBa. A crop or a size goes with no scale. CMYK is
 * taken as Adobe writes it (255 is no ink), as djpeg takes it: R = round(C x K / 255), and so on.
 */
struct image_options {
	uint8_t scale;    /* 1, 2, 4 or 8: one pixel for that many squared; 0 means 1 */
	uint8_t channels; /* 0 as the file has them, 1 grey, 3 RGB, 4 RGBA */
	uint8_t layout;   /* enum image_layout */
	uint8_t flags;    /* enum image_flags */
	uint32_t fit_width, fit_height; /* not 0: the largest scale that leaves at least this size;
					   `scale` is ignored */
	/*
	 * An exact size: at most one of (width, height), shorter and longer. Of width and height
	 * one may be 0: it follows from the other; `shorter` and `longer` say how long the shorter
	 * or longer side is to be. What follows keeps the proportions, rounded to a pixel.
	 */
	uint32_t width, height, shorter, longer;
	/* Only this part of the image, before it is resized; its width is 0 for all of it. */
	uint32_t crop_x, crop_y, crop_width, crop_height;
	uint8_t resample;    /* enum image_resample */
	uint8_t reserved[3]; /* 0 */
};

/* Whether they ask for an exact size, and for a part of the image. */
static inline bool image_options_sized(const struct image_options *options)
{
	return options->width || options->height || options->shorter || options->longer;
}

static inline bool image_options_cropped(const struct image_options *options)
{
	return options->crop_width || options->crop_height || options->crop_x || options->crop_y ||
	       options->flags & IMAGE_CROP_CENTRED;
}

/* Whether an image could be asked for so: STATUS_USAGE for what is out of range, or contradicts itself
 * whatever the image. */
int image_options_check(const struct image_options *options, struct error *err);
