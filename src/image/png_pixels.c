#include "image/png_pixels.h"

#include "base/number.h"
#include "image/pixel.h"

#include <stdlib.h>
#include <string.h>

/* Interlaced images that are scaled or turned need room of their own. */
static int make_whole(struct png_codec *codec, struct error *err)
{
	const struct image_limits *limits = &codec->reader->limits;
	const struct rows *rows = &codec->reader->rows;
	uint64_t size;

	if (!size_multiply((uint64_t)rows->plan.width * rows->plan.height, rows->pixel, &size) ||
		(limits->memory && size > limits->memory))
		return error_set(err, STATUS_BAD_DATA,
			"turning or scaling an interlaced PNG of this size needs more memory than "
			"a decode may use");
	codec->whole = calloc(1, size);
	if (!codec->whole)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	return STATUS_OK;
}

int png_pixels_begin(struct png_codec *codec, void *pixels, struct error *err)
{
	struct image_reader *reader = codec->reader;
	const struct image_info *info = &reader->info;
	struct rows_plan plan = reader_plan(reader, info->scale > 1 ? ROWS_BOX : ROWS_PLAIN,
		info->file_width, info->file_height);
	int status = rows_begin(&reader->rows, &plan, pixels, err);

	if (status || !info->progressive)
		return status;
	if (!rows_in_place(&reader->rows))
		return make_whole(codec, err);
	/* What is missing in the end is to be black. */
	if (reader->options.flags & IMAGE_LENIENT)
		memset(pixels, 0, reader->rows.stride * reader->rows.height);
	return STATUS_OK;
}

/* Grey is made by us, as a JPEG's is: libpng would weigh colours by gAMA and cHRM. */
static void make_grey(png_structp png, png_row_infop row, png_bytep samples)
{
	(void)png;
	pixel_luma(samples, row->width, row->bit_depth);
}

void png_pixels_transform(struct png_codec *codec)
{
	const struct image_info *info = &codec->reader->info;
	png_structp png = codec->png;
	bool file_alpha = info->file_channels % 2 == 0, alpha = info->channels % 2 == 0;

	png_set_expand(png);
	if (info->file_bits == 16 && info->bits == 8)
		png_set_scale_16(png);
	if (file_alpha && !alpha)
		png_set_strip_alpha(png);
	if (!file_alpha && alpha)
		png_set_add_alpha(png, info->bits == 16 ? 0xffff : 0xff, PNG_FILLER_AFTER);
	if (info->file_channels <= 2 && info->channels >= 3)
		png_set_gray_to_rgb(png);
	if (info->file_channels >= 3 && info->channels == 1) {
		png_set_read_user_transform_fn(png, make_grey);
		png_set_user_transform_info(png, NULL, info->bits, 1);
	} else if (codec->reader->options.layout == IMAGE_LAYOUT_BGR) {
		png_set_bgr(png);
	}
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (info->bits == 16)
		png_set_swap(png);
#endif
	png_set_interlace_handling(png);
	png_read_update_info(png, codec->info);
	if (png_get_rowbytes(png, codec->info) !=
		(uint64_t)info->file_width * info->channels * info->bits / 8)
		png_error(png, "rows of an unexpected length");
}

/* Bytes of data that a row of so many pixels has, its filter included. */
static uint64_t row_data(const struct png_codec *codec, uint32_t width)
{
	return width ? 1 + ((uint64_t)width * codec->pixel_bits + 7) / 8 : 0;
}

uint64_t png_pixels_data(const struct png_codec *codec)
{
	const struct image_info *info = &codec->reader->info;
	uint64_t size = 0;

	if (!info->progressive)
		return info->file_height * row_data(codec, info->file_width);
	for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++)
		size += PNG_PASS_ROWS(info->file_height, pass) *
			row_data(codec, PNG_PASS_COLS(info->file_width, pass));
	return size;
}

static bool spend(struct png_codec *codec, uint64_t bytes)
{
	if (bytes > codec->budget)
		return false;
	codec->budget -= bytes;
	return true;
}

static bool read_in_order(struct png_codec *codec)
{
	struct rows *rows = &codec->reader->rows;

	for (uint32_t y = 0; y < rows->plan.height; y++) {
		uint8_t *slot = NULL;

		if (!spend(codec, row_data(codec, rows->plan.width)))
			return false;
		if (y >= rows->taken)
			rows_slots(rows, &slot, 1);
		png_read_row(codec->png, slot, NULL);
		if (slot)
			rows_take(rows, 1);
	}
	return true;
}

static uint8_t *pass_row(const struct png_codec *codec, uint32_t y)
{
	const struct rows *rows = &codec->reader->rows;

	return codec->whole ? codec->whole + y * rows->plan.width * rows->pixel : rows_at(rows, y);
}

/* The seven passes of an interlaced image each add pixels to the rows. */
static bool read_passes(struct png_codec *codec)
{
	const struct rows_plan *plan = &codec->reader->rows.plan;

	for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
		uint64_t data = row_data(codec, PNG_PASS_COLS(plan->width, pass));

		for (uint32_t y = 0; y < plan->height; y++) {
			if (PNG_ROW_IN_INTERLACE_PASS(y, pass) && !spend(codec, data))
				return false;
			png_read_row(codec->png, pass_row(codec, y), NULL);
		}
	}
	return true;
}

void png_pixels_read(struct png_codec *codec)
{
	if (!(codec->reader->info.progressive ? read_passes : read_in_order)(codec))
		return;
	codec->complete = true;
	png_read_end(codec->png, NULL);
}

/* Puts what the passes have made through the rest of its way. */
static void take_passes(struct png_codec *codec)
{
	struct rows *rows = &codec->reader->rows;
	size_t stride = rows->plan.width * rows->pixel;
	uint8_t *slot;

	if (!codec->whole) {
		rows_take(rows, rows->plan.height);
		return;
	}
	for (uint32_t y = 0; y < rows->plan.height; y++) {
		rows_slots(rows, &slot, 1);
		memcpy(slot, codec->whole + y * stride, stride);
		rows_take(rows, 1);
	}
}

void png_pixels_finish(struct png_codec *codec)
{
	if (codec->reader->info.progressive)
		take_passes(codec);
	else
		rows_blank(&codec->reader->rows);
}
