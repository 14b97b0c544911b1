/*
 * The filters of four rows at once, for pixels of 2 to 4 bytes: as png_diagonal.h does it, with
 * four lanes for each row.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	PNG_QUAD_ROWS = 4,
};

/*
 * Rows of `size` bytes from `source`, where each has its filter (0 to 4) before it. `above` is the
 * row above the first one. Nothing overlaps; nothing outside is read or written.
 */
void png_unfilter_quads(unsigned pixel, uint8_t *const rows[PNG_QUAD_ROWS],
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size);
