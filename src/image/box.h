/*
 * The mean of squares of pixels: an image at 1/2, 1/4 or 1/8 of its size.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Rows of the image, as they come. */
struct box {
	uint32_t width;         /* of a row */
	uint8_t scale;          /* 2, 4 or 8: pixels of a side of a square */
	uint8_t channels, bits; /* 2 and 4 channels: the last is alpha */
	void *sums;             /* box_memory bytes, aligned for uint64_t */
};

/* Bytes of sums. */
uint64_t box_memory(const struct box *box);

/* Adds a row; the first of those that a mean is taken of begins the sums anew. */
void box_add(const struct box *box, const uint8_t *row, bool first);

/* The mean of the `height` rows that were added, at most box->scale: a row of the squares, of which
 * the last may be narrower. Colours count as much as they are opaque. */
void box_mean(const struct box *box, uint8_t *row, unsigned height);
