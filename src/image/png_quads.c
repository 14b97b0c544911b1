#include "image/png_quads.h"

#include "image/png_lanes.h"

#include <stdbool.h>

enum {
	ROWS = PNG_QUAD_ROWS,
	WIDTH = 4, /* lanes of a row, and bytes that are read and written at a time */
	PAETH = 4, /* the filter */
};

/* Two rows; 255 in the lanes of those that have a filter. */
struct masks {
	lanes left, above, average, paeth;
};

/* At step x, row i is at its pixel x - i: where that is not one of the row, zeros are taken and
 * nothing is kept. Rows 0 and 1 have the lanes of `upper`, rows 2 and 3 those of `lower`. */
struct quad {
	const uint8_t *source, *above;
	uint8_t *rows[ROWS];
	size_t size;
	struct masks upper_masks, lower_masks;
	lanes upper, lower, upper_corner, lower_corner;
};

static lanes mask(const struct quad *quad, unsigned row, unsigned filter)
{
	const size_t step = quad->size + 1;
	const uint64_t first = quad->source[row * step] == filter ? UINT32_MAX : 0;
	const uint64_t second = quad->source[(row + 1) * step] == filter ? UINT32_MAX : 0;

	return lanes_from(second << 32 | first);
}

static struct masks masks_of(const struct quad *quad, unsigned row)
{
	return (struct masks){.left = mask(quad, row, 1),
		.above = mask(quad, row, 2),
		.average = mask(quad, row, 3),
		.paeth = mask(quad, row, PAETH)};
}

PNG_INLINE lanes read_two(
	const struct quad *quad, unsigned row, ptrdiff_t at, size_t pixel, bool inside)
{
	const uint8_t *source = quad->source + row * (quad->size + 1) + 1;
	const uint64_t first = row_read(source, at, quad->size, WIDTH, inside);
	const uint64_t second = row_read(
		source + quad->size + 1, at - (ptrdiff_t)pixel, quad->size, WIDTH, inside);

	return lanes_from(second << 32 | first);
}

PNG_INLINE void write_two(
	const struct quad *quad, unsigned row, ptrdiff_t at, size_t pixel, lanes value, bool inside)
{
	const uint64_t bytes = lanes_to(value);

	row_write(quad->rows[row], at, quad->size, WIDTH, bytes, inside);
	row_write(
		quad->rows[row + 1], at - (ptrdiff_t)pixel, quad->size, WIDTH, bytes >> 32, inside);
}

PNG_INLINE lanes undo(const struct masks *masks, lanes delta, lanes left, lanes above, lanes corner,
	bool all_paeth)
{
	const lanes nearest = paeth(left, above, corner);

	if (all_paeth)
		return add_bytes(delta, nearest);
	return add_bytes(delta,
		lanes_or(lanes_or(lanes_and(masks->left, left), lanes_and(masks->above, above)),
			lanes_or(lanes_and(masks->average, half_sum(left, above)),
				lanes_and(masks->paeth, nearest))));
}

PNG_INLINE void step(struct quad *quad, ptrdiff_t at, size_t pixel, bool all_paeth, bool inside)
{
	const lanes top = lanes_from(row_read(quad->above, at, quad->size, WIDTH, inside));
	const lanes upper_above = join_first(top, quad->upper);
	const lanes lower_above = join_second_first(quad->upper, quad->lower);
	const ptrdiff_t behind = at - 2 * (ptrdiff_t)pixel;

	quad->upper = undo(&quad->upper_masks, read_two(quad, 0, at, pixel, inside), quad->upper,
		upper_above, quad->upper_corner, all_paeth);
	quad->lower = undo(&quad->lower_masks, read_two(quad, 2, behind, pixel, inside),
		quad->lower, lower_above, quad->lower_corner, all_paeth);
	quad->upper_corner = upper_above;
	quad->lower_corner = lower_above;
	write_two(quad, 0, at, pixel, quad->upper, inside);
	write_two(quad, 2, behind, pixel, quad->lower, inside);
}

PNG_INLINE void run(struct quad *all, size_t pixel, bool all_paeth)
{
	struct quad quad = *all;
	const ptrdiff_t lag = (ROWS - 1) * (ptrdiff_t)pixel, size = (ptrdiff_t)quad.size;
	ptrdiff_t at = 0;

	for (; at < lag; at += (ptrdiff_t)pixel)
		step(&quad, at, pixel, all_paeth, false);
	for (; at <= size - WIDTH; at += (ptrdiff_t)pixel)
		step(&quad, at, pixel, all_paeth, true);
	for (; at < size + lag; at += (ptrdiff_t)pixel)
		step(&quad, at, pixel, all_paeth, false);
}

static bool all_are_paeth(const struct quad *quad)
{
	for (size_t i = 0; i < ROWS; i++)
		if (quad->source[i * (quad->size + 1)] != PAETH)
			return false;
	return true;
}

#define RUN_PIXEL(pixel)                           \
	static void run_##pixel(struct quad *quad) \
	{                                          \
		if (all_are_paeth(quad))           \
			run(quad, pixel, true);    \
		else                               \
			run(quad, pixel, false);   \
	}

RUN_PIXEL(2)
RUN_PIXEL(3)
RUN_PIXEL(4)

void png_unfilter_quads(unsigned pixel, uint8_t *const rows[PNG_QUAD_ROWS],
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size)
{
	struct quad quad = {.source = source, .above = above, .size = size};

	memcpy(quad.rows, rows, sizeof quad.rows);
	quad.upper_masks = masks_of(&quad, 0);
	quad.lower_masks = masks_of(&quad, 2);
	quad.upper = quad.lower = quad.upper_corner = quad.lower_corner = lanes_from(0);
	if (pixel == 2)
		run_2(&quad);
	else if (pixel == 3)
		run_3(&quad);
	else
		run_4(&quad);
}
