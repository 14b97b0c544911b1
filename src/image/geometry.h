/*
 * What part of an image is delivered, and at what size: what the options of image.h come to for an
 * image of a certain size.
 */
#pragma once

#include "image/image.h"

struct geometry {
	/* What the codec makes, upright if it is to be: the image at this scale. */
	uint8_t scale;
	uint32_t width, height;
	/* Of that, the part wanted, in whole pixels unless it was scaled, and the size it gets. */
	double left, top, right, bottom;
	uint32_t to_width, to_height;
	bool cropped, resized; /* that part is not all of it; it is not delivered as it is */
};

/*
 * For an upright image of width x height pixels; `reducible` says that its codec can scale it.
 * STATUS_USAGE for a crop that reaches beyond the image, and for a size over the limits.
 */
int geometry_settle(const struct image_options *options, const struct image_limits *limits,
	uint32_t width, uint32_t height, bool reducible, struct geometry *ret, struct error *err);
