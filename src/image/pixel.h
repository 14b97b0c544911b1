/*
 * Arithmetic on the pixels of a row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block of rows on its way to become columns. */
struct pixel_block {
	const uint8_t *source;
	size_t source_stride;
	uint8_t *target;         /* where the leftmost pixel of the first column goes */
	ptrdiff_t target_stride; /* from one row of the target to the next one to write */
	uint32_t width, rows;    /* of the source */
	bool backward;           /* the last row of the source is the leftmost column */
};

/* Pixels of `size` bytes: 1, 2, 3, 4, 6 or 8. */
void pixel_turn(const struct pixel_block *block, size_t size);
void pixel_mirror(uint8_t *row, uint32_t width, size_t size);

/* Colours times alpha, rounded. Without alpha, nothing. */
void pixel_premultiply(uint8_t *row, uint32_t width, unsigned channels, unsigned bits);

/* Divides colours by alpha again, rounding down, up to the largest sample; colours without alpha
 * stay as they are, as Pillow has it. */
void pixel_unpremultiply(uint8_t *row, uint32_t width, unsigned channels, unsigned bits);

/* RGB to grey in place, by the weights of a JPEG's luma, 0.299, 0.587 and 0.114, as libjpeg
 * computes it: in 16 bits after the point, rounded. */
void pixel_luma(uint8_t *row, uint32_t width, unsigned bits);

/*
 * CMYK as Adobe writes it (255 is no ink) into grey (1 channel), RGB (3) or RGBA (4): each of R, G
 * and B is round(ink x K / 255), which is what djpeg does; grey is libjpeg's luma of them.
 */
void pixel_cmyk(const uint8_t *cmyk, uint8_t *row, uint32_t width, unsigned channels, bool bgr);
