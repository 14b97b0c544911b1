#include "image/geometry.h"

#include <stdio.h>

/* A rectangle of whole pixels of the image as it is in the file, but upright. */
struct part {
	uint32_t x, y, width, height;
};

/* ---- scales ---- */

static uint32_t scaled(uint32_t side, unsigned scale)
{
	return side / scale + (side % scale != 0);
}

static unsigned choose_scale(const struct image_options *options, uint32_t width, uint32_t height)
{
	unsigned scale = 8;

	if (!options->fit_width && !options->fit_height)
		return options->scale ? options->scale : 1;
	while (scale > 1 && (scaled(width, scale) < options->fit_width ||
				    scaled(height, scale) < options->fit_height))
		scale /= 2;
	return scale;
}

/* ---- crops and sizes ---- */

static int find_part(const struct image_options *options, uint32_t width, uint32_t height,
	struct part *ret, struct error *err)
{
	struct part part = {
		options->crop_x, options->crop_y, options->crop_width, options->crop_height};
	char where[40];

	if (!image_options_cropped(options)) {
		*ret = (struct part){0, 0, width, height};
		return STATUS_OK;
	}
	snprintf(where, sizeof where, "at %u,%u", part.x, part.y);
	if (part.width > width || part.x > width - part.width || part.height > height ||
		part.y > height - part.height)
		return error_set(err, STATUS_USAGE,
			"the crop of %u×%u %s reaches beyond the image of %u×%u", part.width,
			part.height, options->flags & IMAGE_CROP_CENTRED ? "in the middle" : where,
			width, height);
	if (options->flags & IMAGE_CROP_CENTRED) {
		part.x = (width - part.width) / 2;
		part.y = (height - part.height) / 2;
	}
	*ret = part;
	return STATUS_OK;
}

/* The side that goes with `to`, where `other` went with `from`: rounded, and at least a pixel. */
static uint64_t proportional(uint32_t other, uint64_t to, uint32_t from)
{
	uint64_t side = (other * to + from / 2) / from;

	return side ? side : 1;
}

static void choose_size(const struct image_options *options, const struct part *part,
	uint64_t *ret_width, uint64_t *ret_height)
{
	bool lying = part->width >= part->height;
	uint64_t width = options->width, height = options->height;

	if (options->shorter)
		*(lying ? &height : &width) = options->shorter;
	if (options->longer)
		*(lying ? &width : &height) = options->longer;
	if (!width && !height) {
		width = part->width;
		height = part->height;
	}
	*ret_width = width ? width : proportional(part->width, height, part->height);
	*ret_height = height ? height : proportional(part->height, width, part->width);
}

static int check_size(const struct image_limits *limits, uint64_t width, uint64_t height,
	uint32_t rows, struct error *err)
{
	uint64_t most = limits->side ? limits->side : INT32_MAX;
	uint64_t between = width * rows; /* along the rows first: this lies in between */

	if (width > most || height > most)
		return error_set(err, STATUS_USAGE,
			"the size of %llu×%llu is over the limit of %llu pixels a side "
			"(serve --max-side)",
			(unsigned long long)width, (unsigned long long)height,
			(unsigned long long)most);
	if (limits->pixels && width * height > limits->pixels)
		return error_set(err, STATUS_USAGE,
			"the size of %llu×%llu is over the limit of %.7g megapixels (serve "
			"--max-pixels)",
			(unsigned long long)width, (unsigned long long)height,
			(double)limits->pixels / 1e6);
	if (limits->pixels && between > limits->pixels)
		return error_set(err, STATUS_USAGE,
			"resizing to %llu×%llu, by way of %llu×%u, is over the limit of %.7g "
			"megapixels (serve --max-pixels)",
			(unsigned long long)width, (unsigned long long)height,
			(unsigned long long)width, rows, (double)limits->pixels / 1e6);
	return STATUS_OK;
}

/* The most that the codec may reduce an image of which that part is wanted at that size. */
static unsigned draft_scale(const struct part *part, uint64_t width, uint64_t height)
{
	unsigned scale = 8;

	while (scale > 1 && (part->width / width < scale || part->height / height < scale))
		scale /= 2;
	return scale;
}

int geometry_settle(const struct image_options *options, const struct image_limits *limits,
	uint32_t width, uint32_t height, bool reducible, struct geometry *ret, struct error *err)
{
	unsigned scale = choose_scale(options, width, height);
	struct geometry geometry = {0};
	uint64_t to_width, to_height;
	struct part part = {0};
	int status = find_part(options, width, height, &part, err);

	if (status)
		return status;
	choose_size(options, &part, &to_width, &to_height);
	geometry.cropped = part.width != width || part.height != height;
	geometry.resized = image_options_sized(options) &&
			   (geometry.cropped || to_width != width || to_height != height);
	if (geometry.resized)
		status = check_size(limits, to_width, to_height, part.height, err);
	if (status)
		return status;
	if (options->flags & IMAGE_DRAFT && reducible)
		scale = draft_scale(&part, to_width, to_height);
	geometry.scale = (uint8_t)scale;
	geometry.width = scaled(width, scale);
	geometry.height = scaled(height, scale);
	geometry.left = (double)part.x / scale;
	geometry.top = (double)part.y / scale;
	geometry.right = (double)(part.x + part.width) / scale;
	geometry.bottom = (double)(part.y + part.height) / scale;
	geometry.to_width = image_options_sized(options) ? (uint32_t)to_width
							 : scaled(part.width, scale);
	geometry.to_height = image_options_sized(options) ? (uint32_t)to_height
							  : scaled(part.height, scale);
	*ret = geometry;
	return STATUS_OK;
}
