/*
 * PNG by libpng's row interface.
 *
 * Whatever calls libpng runs as a step below run_step(), the only function here that calls setjmp:
 * what a step needs and leaves behind is in struct png_codec, never in a local variable. That is
 * why all steps are in one file, somewhat longer than others.
 */
#include "base/number.h"
#include "base/text.h"
#include "image/decoders.h"
#include "image/exif.h"
#include "image/pixel.h"
#include "image/png_source.h"
#include "image/png_survey.h"
#include "image/reader.h"

#include <png.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chunks whose contents we never look at: not unpacked, not kept. */
static const png_byte skipped_chunks[] = "bKGD\0hIST\0iTXt\0oFFs\0pCAL\0pHYs\0sCAL\0"
					 "sPLT\0tEXt\0tIME\0zTXt";

struct png_codec {
	struct image_reader *reader;
	png_structp png;
	png_infop info;
	jmp_buf jump;
	struct error error;
	struct png_source source;
	uint64_t allocated; /* by libpng, for this image, in all */
	uint8_t *whole;     /* an interlaced image that cannot be put together in place */
	bool over_memory, out_of_memory;
	bool in_pixels; /* rows have begun to come */
};

static void on_error(png_structp png, png_const_charp message)
{
	struct png_codec *codec = png_get_error_ptr(png);
	char text[200], limit[SIZE_TEXT_SIZE];

	if (codec->over_memory)
		error_set(&codec->error, STATUS_BAD_DATA,
			"decoding needs more than the memory limit of %s",
			format_size(codec->reader->limits.memory, limit));
	else if (codec->out_of_memory)
		error_set(&codec->error, STATUS_TRY_AGAIN, "out of memory");
	else
		error_set(&codec->error, STATUS_BAD_DATA, "broken PNG: %s",
			text_escape(message, strlen(message), text, sizeof text));
	longjmp(codec->jump, 1);
}

/* What libpng says of a colour profile over the limit: before 1.6.47, and since. */
static bool is_about_profile_size(const char *message)
{
	return strstr(message, "exceeds application limits") || strstr(message, "profile too long");
}

/* Almost all of them are odd and harmless. But what is left out for want of memory could be the
 * orientation. */
static void on_warning(png_structp png, png_const_charp message)
{
	struct png_codec *codec = png_get_error_ptr(png);
	char text[128], limit[SIZE_TEXT_SIZE];

	if (codec->over_memory || codec->out_of_memory)
		on_error(png, message);
	if (is_about_profile_size(message)) {
		snprintf(text, sizeof text,
			"the colour profile is over the limit of %s (--max-chunk) and left out",
			format_size(codec->reader->limits.chunk_bytes, limit));
		message = text;
	}
	reader_warn(codec->reader, message);
}

/* Counts what is asked for, not what is given back: a bound on the sum bounds what is in use. */
static png_voidp allocate(png_structp png, png_alloc_size_t size)
{
	struct png_codec *codec = png_get_mem_ptr(png);
	uint64_t limit = codec->reader->limits.memory;
	void *memory;

	if (limit && size > limit - codec->allocated) {
		codec->over_memory = true;
		return NULL;
	}
	codec->allocated += size;
	memory = malloc(size);
	codec->out_of_memory |= !memory;
	return memory;
}

static void release(png_structp png, png_voidp memory)
{
	(void)png;
	free(memory);
}

static void read_bytes(png_structp png, png_bytep target, size_t size)
{
	struct png_codec *codec = png_get_io_ptr(png);

	if (!png_source_read(&codec->source, target, size))
		png_error(png, "the file ends too early");
}

/* Runs a step; STATUS_OK, or the status that codec->error has after libpng gave up. */
static int run_step(struct png_codec *codec, void (*step)(struct png_codec *))
{
	if (setjmp(codec->jump))
		return codec->error.status;
	step(codec);
	return STATUS_OK;
}

static int hand_on(struct png_codec *codec, struct error *err)
{
	if (err)
		*err = codec->error;
	return codec->error.status;
}

/* Everything of one image. */
static void forget(struct png_codec *codec)
{
	png_destroy_read_struct(&codec->png, &codec->info, NULL);
	free(codec->whole);
	codec->whole = NULL;
}

static void open_step(struct png_codec *codec)
{
	const struct image_limits *limits = &codec->reader->limits;

	codec->png = png_create_read_struct_2(
		PNG_LIBPNG_VER_STRING, codec, on_error, on_warning, codec, allocate, release);
	if (codec->png)
		codec->info = png_create_info_struct(codec->png);
	if (!codec->info) {
		error_set(&codec->error, STATUS_TRY_AGAIN, "out of memory");
		longjmp(codec->jump, 1);
	}
	/* Some files state too small a window in the zlib header; 32K are enough for any. */
	png_set_option(codec->png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
	png_set_user_limits(codec->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_chunk_cache_max(codec->png, limits->chunks);
	png_set_chunk_malloc_max(codec->png, limits->chunk_bytes);
	png_set_keep_unknown_chunks(codec->png, PNG_HANDLE_CHUNK_NEVER, skipped_chunks,
		(int)(sizeof skipped_chunks / 5));
	/* libpng throws away what it cannot read in full: in small bites, less is lost */
	if (codec->reader->options.flags & IMAGE_LENIENT)
		png_set_compression_buffer_size(codec->png, 128);
	png_set_read_fn(codec->png, codec, read_bytes);
	png_read_info(codec->png, codec->info);
}

static void read_ancillary(struct png_codec *codec, struct image_info *info)
{
	png_fixed_point *chroma = info->chromaticities;
	png_fixed_point gamma;
	png_bytep exif;
	png_uint_32 size;
	int intent;
	unsigned orientation = 0;

	if (png_get_gAMA_fixed(codec->png, codec->info, &gamma) && gamma > 0)
		info->gamma = (uint32_t)gamma;
	png_get_cHRM_fixed(codec->png, codec->info, &chroma[0], &chroma[1], &chroma[2], &chroma[3],
		&chroma[4], &chroma[5], &chroma[6], &chroma[7]);
	if (png_get_sRGB(codec->png, codec->info, &intent) && intent >= 0 && intent <= 3)
		info->srgb = (uint8_t)(1 + intent);
	if (png_get_eXIf_1(codec->png, codec->info, &size, &exif))
		orientation = exif_orientation(exif, size);
	if (orientation)
		info->orientation = (uint8_t)orientation;
}

static void header_step(struct png_codec *codec)
{
	struct image_info *info = &codec->reader->info;
	unsigned type = png_get_color_type(codec->png, codec->info);
	bool alpha = type & PNG_COLOR_MASK_ALPHA ||
		     png_get_valid(codec->png, codec->info, PNG_INFO_tRNS);

	info->file_width = png_get_image_width(codec->png, codec->info);
	info->file_height = png_get_image_height(codec->png, codec->info);
	info->file_bits = png_get_bit_depth(codec->png, codec->info);
	info->file_channels = (uint8_t)((type & PNG_COLOR_MASK_COLOR ? 3 : 1) + alpha);
	info->progressive = png_get_interlace_type(codec->png, codec->info) == PNG_INTERLACE_ADAM7;
	read_ancillary(codec, info);
}

/* Grey is made by us, as a JPEG's is: libpng would weigh colours by gAMA and cHRM. */
static void make_grey(png_structp png, png_row_infop row, png_bytep samples)
{
	(void)png;
	pixel_luma(samples, row->width, row->bit_depth);
}

/* Has libpng make what info promises. */
static void transform_step(struct png_codec *codec)
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

static void read_in_order(struct png_codec *codec)
{
	struct rows *rows = &codec->reader->rows;
	uint8_t *slot;

	while (rows->taken < rows->plan.height) {
		rows_slots(rows, &slot, 1);
		png_read_row(codec->png, slot, NULL);
		rows_take(rows, 1);
	}
}

/* The seven passes of an interlaced image each add pixels to the rows. */
static void read_passes_in_place(struct png_codec *codec)
{
	struct rows *rows = &codec->reader->rows;

	for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
		for (uint32_t y = 0; y < rows->plan.height; y++)
			png_read_row(codec->png, rows_at(rows, y), NULL);
	}
}

static void read_passes_aside(struct png_codec *codec)
{
	const struct rows_plan *plan = &codec->reader->rows.plan;
	size_t stride = png_get_rowbytes(codec->png, codec->info);

	for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
		for (uint32_t y = 0; y < plan->height; y++)
			png_read_row(codec->png, codec->whole + y * stride, NULL);
	}
}

static void pixels_step(struct png_codec *codec)
{
	codec->in_pixels = true;
	if (!codec->reader->info.progressive)
		read_in_order(codec);
	else if (codec->whole)
		read_passes_aside(codec);
	else
		read_passes_in_place(codec);
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

static int find_profile(struct png_codec *codec, struct error *err)
{
	png_charp name;
	png_bytep profile;
	png_uint_32 size;
	int compression;

	if (!png_get_iCCP(codec->png, codec->info, &name, &compression, &profile, &size))
		return STATUS_OK;
	return reader_keep_profile(codec->reader, profile, size, err);
}

static int begin(struct image_reader *reader, struct error *err)
{
	struct png_codec *codec = reader->png;

	if (!codec)
		codec = reader->png = calloc(1, sizeof *codec);
	if (!codec)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	forget(codec);
	*codec = (struct png_codec){.reader = reader};
	png_source_init(&codec->source, reader->data, reader->size, reader->limits.chunk_bytes);
	return png_survey(reader, err);
}

int png_codec_probe(struct image_reader *reader, struct error *err)
{
	struct png_codec *codec;
	int status = begin(reader, err);

	if (status)
		return status;
	codec = reader->png;
	if (run_step(codec, open_step) || run_step(codec, header_step)) {
		forget(codec);
		return hand_on(codec, err);
	}
	status = reader_settle(reader, err);
	if (status == STATUS_OK)
		status = find_profile(codec, err);
	if (status)
		forget(codec);
	return status;
}

/* A damaged end, where the asker wants what there is. */
static void make_do(struct png_codec *codec)
{
	reader_warn(codec->reader, codec->error.text);
	if (codec->reader->info.progressive)
		take_passes(codec);
	else
		rows_blank(&codec->reader->rows);
}

static int decode(struct png_codec *codec, void *pixels, struct error *err)
{
	struct image_reader *reader = codec->reader;
	const struct image_info *info = &reader->info;
	struct rows_plan plan = reader_plan(reader, info->scale > 1 ? ROWS_BOX : ROWS_PLAIN,
		info->file_width, info->file_height);
	bool lenient = reader->options.flags & IMAGE_LENIENT;
	int status = rows_begin(&reader->rows, &plan, pixels, err);

	if (status == STATUS_OK && info->progressive && !rows_in_place(&reader->rows))
		status = make_whole(codec, err);
	if (status)
		return status;
	if (lenient && info->progressive && !codec->whole)
		memset(pixels, 0, reader->rows.stride * reader->rows.height);
	if (run_step(codec, transform_step) || run_step(codec, pixels_step)) {
		if (!lenient || !codec->in_pixels || codec->over_memory || codec->out_of_memory)
			return hand_on(codec, err);
		make_do(codec);
	} else if (info->progressive) {
		take_passes(codec);
	}
	return STATUS_OK;
}

int png_codec_decode(struct image_reader *reader, void *pixels, struct error *err)
{
	int status = decode(reader->png, pixels, err);

	forget(reader->png);
	return status;
}

void png_codec_free(struct png_codec *codec)
{
	if (!codec)
		return;
	forget(codec);
	free(codec);
}
