/*
 * The filters of eight rows at once, for pixels of one byte. Each pixel depends on the one before
 * it, so that a row alone leaves most of a processor idle: here, the next pixel of a row is
 * undone together with the one below the pixel before it, and so on down, along a diagonal.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	PNG_DIAGONAL_ROWS = 8,
};

/*
 * Rows of `size` bytes from `source`, where each has its filter (0 to 4) before it. `above` is the
 * row above the first one. Nothing overlaps; nothing outside is read or written.
 */
void png_unfilter_diagonal(uint8_t *const rows[PNG_DIAGONAL_ROWS], const uint8_t *restrict source,
	const uint8_t *restrict above, size_t size);
