/*
 * Rows of a PNG's own samples into what is delivered: as libpng's transformations, for images of 8
 * and 16 bits without a transparent colour.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct png_convert {
	uint8_t from_channels, from_bits; /* in the file; a palette's indices are one channel */
	uint8_t channels, bits;           /* as delivered: 1 to 4, 8 or 16 */
	bool bgr;
	/* Not NULL: of a palette, 256 times R, G, B and alpha. */
	const uint8_t (*palette)[4];
};

/* Whether rows are delivered as they are. */
bool png_convert_is_nothing(const struct png_convert *convert);

/* Whether they are but for the byte order of samples of 16 bits, which may be the same. */
bool png_convert_is_order(const struct png_convert *convert);

/* `row` is of the file, `target` is what is delivered, and `work` has room for 16 bytes a pixel; the
 * latter two are aligned for samples. */
void png_convert_row(const struct png_convert *convert, const uint8_t *restrict row,
	uint8_t *restrict work, uint8_t *restrict target, uint32_t width);
