/*
 * Exif in a text chunk of a PNG, where ImageMagick and others put it before there was eXIf.
 */
#pragma once

#include "base/error.h"
#include "image/png_chunks.h"

/*
 * If the chunk is a tEXt or zTXt with the keyword "Raw profile type exif" or "Raw profile type
 * APP1", *ret_orientation is what its Exif says, 1 to 8, or 0 for nothing; otherwise it is not
 * touched. What is broken says nothing. Fails only if memory is short, or would be more than
 * `memory_limit` (0: none).
 */
int png_exif_orientation(const struct png_chunk *chunk, uint64_t memory_limit,
	unsigned *ret_orientation, struct error *err);
