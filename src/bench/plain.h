/*
 * The codec libraries used plainly, as their own examples use them: into memory that is there and
 * warm. What shmsem's decoding is compared with.
 */
#pragma once

#include "base/error.h"
#include "image/image.h"

#include <stddef.h>

enum plain_way {
	PLAIN_ROWS, /* libjpeg or libpng row by row, default settings: the limit */
	PLAIN_FAST, /* JPEG only: the fast DCT and plain upsampling, whose pixels are a bit off */
	PLAIN_EASY, /* PNG only: libpng's simplified API */
};

/*
 * Decodes the image in data[0..size) into pixels[0..room), 8 bits a sample, channels as the file
 * has them. `scale` is 1, 2, 4 or 8 for JPEG; libpng has no scale.
 */
int plain_decode(enum image_format format, enum plain_way way, const void *data, size_t size,
	unsigned scale, void *pixels, size_t room, struct error *err);
