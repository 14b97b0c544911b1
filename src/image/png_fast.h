/*
 * The plain PNG, which most are: inflated, and its rows unfiltered, without libpng. Whole images are
 * inflated in one go; for reduced ones, in pieces that stay in the cache.
 *
 * libpng remains the judge. It has read everything before the pixels when this is asked, and what
 * is in any way out of the ordinary is left to it from there: damaged or odd chunks, checksums that
 * are not right, more or less data than there should be, interlacing, fewer than 8 bits, a
 * transparent colour, more memory than allowed. So the result, the warnings and the errors are the
 * same with and without this.
 */
#pragma once

#include "image/png_codec.h"

struct png_fast;

/* After png_pixels_begin and png_pixels_transform. True if all rows were delivered; otherwise they
 * are to be delivered from the first on. */
bool png_fast_read(struct png_codec *codec);

/* Before the first, and before system calls are forbidden. */
int png_fast_prepare(struct error *err);

/* Takes NULL. */
void png_fast_free(struct png_fast *fast);
