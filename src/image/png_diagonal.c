#include "image/png_diagonal.h"

#include "image/png_lanes.h"

#include <stdbool.h>

enum {
	ROWS = PNG_DIAGONAL_ROWS,
	STEPS = 8, /* pixels of each row that are sorted into lanes at a time */
};

/* A lane for each row. At step `at`, row i is at its pixel at - i: where that is not one of the
 * row, zeros are taken and nothing is kept. */
struct diagonal {
	const uint8_t *source, *above;
	uint8_t *const *rows;
	size_t size;
	lanes by_left, by_above, by_average, by_paeth; /* 255 for rows of that filter */
	lanes left, corner;
};

/* 255 in the lanes of the rows with that filter. */
static lanes rows_with(const struct diagonal *all, unsigned filter)
{
	uint8_t bytes[ROWS];
	uint64_t mask;

	for (size_t i = 0; i < ROWS; i++)
		bytes[i] = all->source[i * (all->size + 1)] == filter ? 255 : 0;
	memcpy(&mask, bytes, sizeof mask);
	return lanes_from(mask);
}

/* Rows become columns, or columns rows: four times two of eight. */
PNG_INLINE void transpose(const bytes16 zipped[4], bytes16 columns[4])
{
	const bytes16 even = zip_first(zipped[0], zipped[2]);
	const bytes16 even2 = zip_second(zipped[0], zipped[2]);
	const bytes16 odd = zip_first(zipped[1], zipped[3]);
	const bytes16 odd2 = zip_second(zipped[1], zipped[3]);

	columns[0] = zip_first(even, odd);
	columns[1] = zip_second(even, odd);
	columns[2] = zip_first(even2, odd2);
	columns[3] = zip_second(even2, odd2);
}

PNG_INLINE void read_columns(const struct diagonal *all, size_t at, bytes16 columns[4], bool inside)
{
	bytes16 zipped[4];
	uint64_t some[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		some[i] = row_read(all->source + i * (all->size + 1) + 1,
			(ptrdiff_t)at - (ptrdiff_t)i, all->size, STEPS, inside);
	for (size_t i = 0; i < 4; i++)
		zipped[i] = zip_first(bytes_from(some[i]), bytes_from(some[i + 4]));
	transpose(zipped, columns);
}

PNG_INLINE void write_columns(
	const struct diagonal *all, size_t at, const bytes16 columns[4], bool inside)
{
	const bytes16 zipped[4] = {zip_first(columns[0], columns[2]),
		zip_second(columns[0], columns[2]), zip_first(columns[1], columns[3]),
		zip_second(columns[1], columns[3])};
	bytes16 pairs[4];

	transpose(zipped, pairs);
	for (size_t i = 0; i < ROWS; i++)
		row_write(all->rows[i], (ptrdiff_t)at - (ptrdiff_t)i, all->size, STEPS,
			i % 2 ? bytes_second(pairs[i / 2]) : bytes_first(pairs[i / 2]), inside);
}

PNG_INLINE lanes step(struct diagonal *all, lanes delta, uint8_t top)
{
	const lanes left = all->left, above = lanes_shift_in(left, top);
	const lanes plain = lanes_or(
		lanes_and(all->by_left, left), lanes_and(all->by_above, above));
	const lanes average = lanes_and(all->by_average, half_sum(left, above));
	const lanes nearest = lanes_and(all->by_paeth, paeth(left, above, all->corner));

	all->corner = above;
	all->left = add_bytes(delta, lanes_or(lanes_or(plain, average), nearest));
	return all->left;
}

PNG_INLINE void steps(struct diagonal *all, size_t at, bool inside)
{
	bytes16 columns[4];
	uint8_t top[STEPS];
	const uint64_t above = row_read(all->above, (ptrdiff_t)at, all->size, STEPS, inside);

	memcpy(top, &above, sizeof top);
	read_columns(all, at, columns, inside);
	for (size_t i = 0; i < 4; i++) {
		const lanes first = step(all, lanes_of_first(columns[i]), top[2 * i]);
		const lanes second = step(all, lanes_of_second(columns[i]), top[2 * i + 1]);

		columns[i] = bytes_of(first, second);
	}
	write_columns(all, at, columns, inside);
}

void png_unfilter_diagonal(uint8_t *const rows[PNG_DIAGONAL_ROWS], const uint8_t *restrict source,
	const uint8_t *restrict above, size_t size)
{
	struct diagonal all = {.source = source, .above = above, .rows = rows, .size = size};

	all.by_left = rows_with(&all, 1);
	all.by_above = rows_with(&all, 2);
	all.by_average = rows_with(&all, 3);
	all.by_paeth = rows_with(&all, 4);
	all.left = all.corner = lanes_from(0);
	for (size_t at = 0; at < size + ROWS - 1; at += STEPS) {
		if (at >= ROWS - 1 && size - at >= STEPS && at < size)
			steps(&all, at, true);
		else
			steps(&all, at, false);
	}
}
