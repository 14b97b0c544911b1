/*
 * What the files that call libpng share. A step that does so runs below run_step() of png.c.
 */
#pragma once

#include "dynload/libpng.h"
#include "image/png_salvage.h"
#include "image/png_source.h"
#include "image/reader.h"

#include <setjmp.h>

struct png_codec {
	struct image_reader *reader;
	png_structp png;
	png_infop info;
	jmp_buf jump;
	struct error error;
	struct png_source source;
	uint64_t allocated; /* by libpng, for this image, in all */
	uint8_t *whole;     /* an interlaced image that cannot be put together in place */
	bool over_memory, out_of_memory;
	unsigned pixel_bits;     /* of a pixel in the file */
	uint8_t palette[256][4]; /* R, G, B and alpha, if has_palette */
	bool has_palette, transparent_colour;
	uint64_t budget;  /* bytes of pixel data that may still be read */
	bool complete;    /* all rows have come */
	size_t pixels_at; /* the first IDAT chunk in the file */
	struct png_salvage salvage;
	struct png_fast *fast; /* kept from image to image */
};
