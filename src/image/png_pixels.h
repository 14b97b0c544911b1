/*
 * The pixels of a PNG by libpng, row by row.
 */
#pragma once

#include "image/png_codec.h"

/* Makes room for an image that was probed, to go into `pixels`. */
int png_pixels_begin(struct png_codec *codec, void *pixels, struct error *err);

/* Bytes of pixel data, inflated, that the whole image needs. */
uint64_t png_pixels_data(const struct png_codec *codec);

/* Has libpng make what info promises. A step. */
void png_pixels_transform(struct png_codec *codec);

/* Reads rows, but for those already taken, as long as codec->budget lasts. A step. */
void png_pixels_read(struct png_codec *codec);

/* Hands on what is there, however many rows were read; the others are black and transparent. */
void png_pixels_finish(struct png_codec *codec);
