#include "image/deliver.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "image/decoders.h"
#include "image/resize.h"

#include <stdlib.h>
#include <string.h>

/* A part that is delivered in its own size. */
struct crop {
	uint8_t *next; /* where the next row goes */
	size_t skip, size;
	uint32_t row, top, bottom; /* the row that comes next; those wanted */
};

static size_t pixel_bytes(const struct image_info *info)
{
	return (size_t)info->channels * info->bits / 8;
}

/* Bytes of all that the codec makes. */
static uint64_t whole_bytes(const struct image_reader *reader)
{
	const struct geometry *geometry = &reader->geometry;

	return (uint64_t)geometry->width * geometry->height * pixel_bytes(&reader->info);
}

/* Whether rows come from the top, as they are: then nobody needs to keep them. */
static bool in_order(const struct image_reader *reader)
{
	return reader_orientation(reader) <= 2;
}

static struct resize_plan resize_plan(const struct image_reader *reader)
{
	const struct geometry *geometry = &reader->geometry;
	static const uint8_t filters[] = {
		[IMAGE_BICUBIC] = RESIZE_BICUBIC,
		[IMAGE_BOX] = RESIZE_BOX,
		[IMAGE_BILINEAR] = RESIZE_BILINEAR,
		[IMAGE_LANCZOS] = RESIZE_LANCZOS,
	};

	return (struct resize_plan){
		.width = geometry->width,
		.height = geometry->height,
		.left = geometry->left,
		.top = geometry->top,
		.right = geometry->right,
		.bottom = geometry->bottom,
		.to_width = geometry->to_width,
		.to_height = geometry->to_height,
		.channels = reader->info.channels,
		.bits = reader->info.bits,
		.filter = filters[reader->options.resample],
		.alpha = reader->info.channels % 2 == 0 && !reader->info.cmyk,
		.premultiply = reader->options.flags & IMAGE_PREMULTIPLY,
	};
}

int deliver_check(const struct image_reader *reader, struct error *err)
{
	const struct resize_plan plan = resize_plan(reader);
	uint64_t limit = reader->limits.memory, need = 0;
	char text[SIZE_TEXT_SIZE];

	if (reader->geometry.resized)
		need = resize_memory(&plan);
	if ((reader->geometry.resized || reader->geometry.cropped) && !in_order(reader) &&
		!size_add(need, whole_bytes(reader), &need))
		need = UINT64_MAX;
	if (need == UINT64_MAX || (limit && need > limit))
		return error_set(err, STATUS_BAD_DATA,
			"resizing or cropping needs more than the memory limit of %s",
			format_size(limit ? limit : SIZE_MAX, text));
	return STATUS_OK;
}

static int decode(struct image_reader *reader, void *pixels, struct error *err)
{
	return reader->info.format == IMAGE_FORMAT_PNG ? png_codec_decode(reader, pixels, err)
						       : jpeg_codec_decode(reader, pixels, err);
}

/* Has every row of the image taken, from the top. */
static int decode_rows(struct image_reader *reader, void (*take)(void *context, const uint8_t *row),
	void *context, struct error *err)
{
	size_t stride = reader->geometry.width * pixel_bytes(&reader->info);
	AUTO_FREE uint8_t *whole = NULL;
	int status;

	if (in_order(reader)) {
		reader->take = take;
		reader->context = context;
		status = decode(reader, NULL, err);
		reader->take = NULL;
		return status;
	}
	whole = malloc(whole_bytes(reader));
	if (!whole)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	status = decode(reader, whole, err);
	for (uint32_t y = 0; !status && y < reader->geometry.height; y++)
		take(context, whole + y * stride);
	return status;
}

static void take_resized(void *context, const uint8_t *row)
{
	resize_push(context, row);
}

static int deliver_resized(struct image_reader *reader, void *pixels, struct error *err)
{
	const struct resize_plan plan = resize_plan(reader);
	struct resize resize;
	int status = resize_begin(&resize, &plan, pixels, err);

	if (status)
		return status;
	status = decode_rows(reader, take_resized, &resize, err);
	resize_end(&resize);
	return status;
}

static void take_cropped(void *context, const uint8_t *row)
{
	struct crop *crop = context;
	uint32_t y = crop->row++;

	if (y < crop->top || y >= crop->bottom)
		return;
	memcpy(crop->next, row + crop->skip, crop->size);
	crop->next += crop->size;
}

static int deliver_cropped(struct image_reader *reader, void *pixels, struct error *err)
{
	const struct geometry *geometry = &reader->geometry;
	size_t pixel = pixel_bytes(&reader->info);
	struct crop crop = {.next = pixels,
		.skip = (size_t)geometry->left * pixel,
		.size = geometry->to_width * pixel,
		.top = (uint32_t)geometry->top,
		.bottom = (uint32_t)geometry->bottom};

	return decode_rows(reader, take_cropped, &crop, err);
}

int deliver(struct image_reader *reader, void *pixels, struct error *err)
{
	if (reader->geometry.resized)
		return deliver_resized(reader, pixels, err);
	if (reader->geometry.cropped)
		return deliver_cropped(reader, pixels, err);
	return decode(reader, pixels, err);
}
