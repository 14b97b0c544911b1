#include "image/png_unfilter.h"

#include "image/png_lanes.h"
#include "image/png_quads.h"

#include <stdbool.h>
#include <string.h>

enum filter {
	FILTER_NONE,
	FILTER_SUB,
	FILTER_UP,
	FILTER_AVERAGE,
	FILTER_PAETH,
};

PNG_INLINE uint64_t load(const uint8_t *from, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, bytes);
	return value;
}

/* A pixel depends on the one before it, so what counts is how few steps there are from one to the
 * next, not how many lanes are used. The pixels from `at` on, with reads and writes of `width` bytes at a time; stops where these
 * would reach over the end. */
PNG_INLINE size_t undo(enum filter filter, size_t pixel, size_t width, size_t at,
	uint8_t *restrict row, const uint8_t *restrict source, const uint8_t *restrict above,
	size_t size)
{
	lanes left = lanes_from(at ? load(row + at - pixel, pixel) : 0);
	lanes corner = lanes_from(at ? load(above + at - pixel, pixel) : 0);

	for (; size - at >= width; at += pixel) {
		lanes delta = lanes_from(load(source + at, width)), up = left;
		uint64_t bytes;

		if (filter != FILTER_SUB)
			up = lanes_from(load(above + at, width));
		if (filter == FILTER_SUB)
			left = add_bytes(delta, left);
		if (filter == FILTER_AVERAGE)
			left = add_bytes(delta, half_sum(left, up));
		if (filter == FILTER_PAETH)
			left = add_bytes(delta, paeth(left, up, corner));
		corner = up;
		bytes = lanes_to(left);
		memcpy(row + at, &bytes, width);
	}
	return at;
}

/* Lanes that belong to no pixel carry rubbish, which is never kept: a pixel writes over what the
 * one before it wrote too much. */
PNG_INLINE void undo_row(enum filter filter, size_t pixel, uint8_t *restrict row,
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size)
{
	size_t at = undo(filter, pixel, pixel <= 4 ? 4 : 8, 0, row, source, above, size);

	undo(filter, pixel, pixel, at, row, source, above, size);
}

static void undo_up(uint8_t *restrict row, const uint8_t *restrict source,
	const uint8_t *restrict above, size_t size)
{
	enum {
		BLOCK = 32 /* an inner loop of constant length becomes vectors */
	};
	size_t i = 0;

	for (; size - i >= BLOCK; i += BLOCK)
		for (unsigned k = 0; k < BLOCK; k++)
			row[i + k] = (uint8_t)(source[i + k] + above[i + k]);
	for (; i < size; i++)
		row[i] = (uint8_t)(source[i] + above[i]);
}

#define UNDO_PIXEL(pixel)                                                                   \
	static void undo_##pixel(unsigned filter, uint8_t *restrict row,                    \
		const uint8_t *restrict source, const uint8_t *restrict above, size_t size) \
	{                                                                                   \
		if (filter == FILTER_SUB)                                                   \
			undo_row(FILTER_SUB, pixel, row, source, above, size);              \
		else if (filter == FILTER_AVERAGE)                                          \
			undo_row(FILTER_AVERAGE, pixel, row, source, above, size);          \
		else                                                                        \
			undo_row(FILTER_PAETH, pixel, row, source, above, size);            \
	}

UNDO_PIXEL(1)
UNDO_PIXEL(2)
UNDO_PIXEL(3)
UNDO_PIXEL(4)
UNDO_PIXEL(6)
UNDO_PIXEL(8)

void png_unfilter(unsigned filter, unsigned pixel, uint8_t *restrict row,
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size)
{
	static void (*const undo_pixel[9])(unsigned, uint8_t *restrict, const uint8_t *restrict,
		const uint8_t *restrict, size_t) = {
		[1] = undo_1, [2] = undo_2, [3] = undo_3, [4] = undo_4, [6] = undo_6, [8] = undo_8};

	if (filter == FILTER_NONE)
		memcpy(row, source, size);
	else if (filter == FILTER_UP)
		undo_up(row, source, above, size);
	else
		undo_pixel[pixel](filter, row, source, above, size);
}

/* Whether one of the rows has a filter of more than one addition from pixel to pixel. */
static bool is_slow(const uint8_t *source, size_t size, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (source[i * (size + 1)] >= FILTER_AVERAGE)
			return true;
	return false;
}

/* How many of the next rows are undone together. */
static size_t group(unsigned pixel, size_t count, const uint8_t *source, size_t size)
{
	if (pixel == 1 && count >= PNG_DIAGONAL_ROWS && is_slow(source, size, PNG_DIAGONAL_ROWS))
		return PNG_DIAGONAL_ROWS;
	/* Two rows in a register lie as a little-endian machine has them. */
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && pixel >= 2 && pixel <= 4 &&
		count >= PNG_QUAD_ROWS && is_slow(source, size, PNG_QUAD_ROWS))
		return PNG_QUAD_ROWS;
	return 1;
}

void png_unfilter_rows(unsigned pixel, uint8_t *const *rows, size_t count, const uint8_t *source,
	const uint8_t *above, size_t size)
{
	while (count > 0) {
		const size_t some = group(pixel, count, source, size);

		if (some == PNG_DIAGONAL_ROWS)
			png_unfilter_diagonal(rows, source, above, size);
		else if (some == PNG_QUAD_ROWS)
			png_unfilter_quads(pixel, rows, source, above, size);
		else
			png_unfilter(*source, pixel, rows[0], source + 1, above, size);
		above = rows[some - 1];
		source += some * (size + 1);
		rows += some;
		count -= some;
	}
}
