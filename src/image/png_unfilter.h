/*
 * The filters of a PNG's rows, undone: for pixels of 1, 2, 3, 4, 6 and 8 bytes, each by code of its
 * own, with SSE2 or NEON where there is one.
 */
#pragma once

#include "image/png_diagonal.h"

#include <stddef.h>
#include <stdint.h>

enum {
	PNG_FILTERS = 5,                   /* none, sub, up, average, Paeth: 0 to 4 */
	PNG_ROWS_BEST = PNG_DIAGONAL_ROWS, /* for png_unfilter_rows */
};

/*
 * row[0..size) from source[0..size), which filter `filter` made. `above` is the row above as it
 * was before filtering, zeros for the first. Pixels have `pixel` bytes, and size is a multiple of
 * them. The three do not overlap. Nothing outside them is read or written.
 */
void png_unfilter(unsigned filter, unsigned pixel, uint8_t *restrict row,
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size);

/* The same for `count` rows that come one after the other, each with its filter before it. */
void png_unfilter_rows(unsigned pixel, uint8_t *const *rows, size_t count, const uint8_t *source,
	const uint8_t *above, size_t size);
