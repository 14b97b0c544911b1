/*
 * The mean of squares of pixels: an image at 1/2, 1/4 or 1/8 of its size.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct box {
	uint32_t width;         /* of a row of the image */
	uint8_t scale;          /* 2, 4 or 8: pixels of a side of a square */
	uint8_t channels, bits; /* 2 and 4 channels: the last is alpha */
	bool swapped;           /* the image's samples of 16 bits have the other byte order */
};

/* A row of squares, from so many rows of the image, at most box->scale. The last square may be
 * narrower. Colours count as much as they are opaque. */
void box_mean(const struct box *box, const uint8_t *const *rows, unsigned height, uint8_t *means);
