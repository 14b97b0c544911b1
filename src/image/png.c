/*
 * PNG by libpng's row interface.
 *
 * Whatever calls libpng runs as a step below run_step(), the only function here that calls setjmp:
 * what a step needs and leaves behind is in struct png_codec, never in a local variable.
 */
#include "base/number.h"
#include "base/text.h"
#include "image/decoders.h"
#include "image/exif.h"
#include "image/png_chunks.h"
#include "image/png_colours.h"
#include "image/png_fast.h"
#include "image/png_pixels.h"
#include "image/png_survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chunks whose contents we never look at: not unpacked, not kept. */
static const png_byte skipped_chunks[] = "bKGD\0hIST\0iTXt\0oFFs\0pCAL\0pHYs\0sCAL\0"
					 "sPLT\0tEXt\0tIME\0zTXt";

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
			"the colour profile is over the limit of %s (serve --max-chunk) and left "
			"out",
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

/* Everything of one image. */
static void forget(struct png_codec *codec)
{
	png_destroy_read_struct(&codec->png, &codec->info, NULL);
	png_salvage_end(&codec->salvage);
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
	if (codec->source.salvage)
		png_set_crc_action(codec->png, PNG_CRC_QUIET_USE, PNG_CRC_DEFAULT);
	png_set_read_fn(codec->png, codec, read_bytes);
	png_read_info(codec->png, codec->info);
}

static void read_ancillary(struct png_codec *codec, struct image_info *info)
{
	png_bytep exif;
	png_uint_32 size;
	unsigned orientation = 0;

	png_colours_read(codec, info);
	if (png_get_eXIf_1(codec->png, codec->info, &size, &exif))
		orientation = exif_orientation(exif, size);
	if (orientation)
		info->orientation = (uint8_t)orientation;
}

static void note_palette(struct png_codec *codec, unsigned type)
{
	png_colorp colours;
	png_bytep alphas = NULL;
	int count = 0, alpha_count = 0;

	if (type != PNG_COLOR_TYPE_PALETTE ||
		!png_get_PLTE(codec->png, codec->info, &colours, &count))
		return;
	codec->has_palette = true;
	png_get_tRNS(codec->png, codec->info, &alphas, &alpha_count, NULL);
	for (int i = 0; i < 256; i++) {
		uint8_t *entry = codec->palette[i];

		if (i < count) {
			entry[0] = colours[i].red;
			entry[1] = colours[i].green;
			entry[2] = colours[i].blue;
		}
		entry[3] = i < alpha_count && alphas ? alphas[i] : 255;
	}
}

static void header_step(struct png_codec *codec)
{
	struct image_info *info = &codec->reader->info;
	unsigned type = png_get_color_type(codec->png, codec->info);
	bool alpha = type & PNG_COLOR_MASK_ALPHA ||
		     png_get_valid(codec->png, codec->info, PNG_INFO_tRNS);

	info->file_width = png_get_image_width(codec->png, codec->info);
	info->file_height = png_get_image_height(codec->png, codec->info);
	note_palette(codec, type);
	codec->transparent_colour = !codec->has_palette &&
				    png_get_valid(codec->png, codec->info, PNG_INFO_tRNS);
	codec->pixels_at = codec->source.position - PNG_CHUNK_HEADER;
	codec->pixel_bits = png_get_channels(codec->png, codec->info) *
			    (unsigned)png_get_bit_depth(codec->png, codec->info);
	info->file_bits = png_get_bit_depth(codec->png, codec->info);
	info->file_channels = (uint8_t)((type & PNG_COLOR_MASK_COLOR ? 3 : 1) + alpha);
	info->progressive = png_get_interlace_type(codec->png, codec->info) == PNG_INTERLACE_ADAM7;
	read_ancillary(codec, info);
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
	*codec = (struct png_codec){.reader = reader, .fast = codec->fast};
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
		return error_copy(err, &codec->error);
	}
	status = reader_settle(reader, err);
	if (status == STATUS_OK)
		status = find_profile(codec, err);
	if (status)
		forget(codec);
	return status;
}

static void salvage_step(struct png_codec *codec)
{
	open_step(codec);
	png_pixels_transform(codec);
	png_pixels_read(codec);
}

/* Reads the rows of a damaged image that did not come yet, but whose data are there. */
static int salvage(struct png_codec *codec, struct error *err)
{
	struct image_reader *reader = codec->reader;
	int status = png_salvage_begin(&codec->salvage, reader->data, reader->size,
		codec->pixels_at, png_pixels_data(codec), err);

	if (status)
		return status;
	png_destroy_read_struct(&codec->png, &codec->info, NULL);
	codec->allocated = 0;
	codec->budget = codec->salvage.available;
	png_source_init(&codec->source, reader->data, reader->size, reader->limits.chunk_bytes);
	codec->source.salvage = &codec->salvage;
	run_step(codec, salvage_step);
	return codec->over_memory || codec->out_of_memory ? error_copy(err, &codec->error)
							  : STATUS_OK;
}

/* After an error, with IMAGE_LENIENT: delivers what was decoded before it. */
static int make_do(struct png_codec *codec, struct error *err)
{
	int status = STATUS_OK;

	if (codec->over_memory || codec->out_of_memory)
		return error_copy(err, &codec->error);
	/* It matters more than anything said before. */
	codec->reader->warning.text[0] = '\0';
	reader_warn(codec->reader, codec->error.text);
	if (!codec->complete)
		status = salvage(codec, err);
	return status;
}

static int decode(struct png_codec *codec, void *pixels, struct error *err)
{
	bool lenient = codec->reader->options.flags & IMAGE_LENIENT;
	int status = png_pixels_begin(codec, pixels, err);

	if (status)
		return status;
	codec->budget = UINT64_MAX;
	if (run_step(codec, png_pixels_transform))
		return error_copy(err, &codec->error);
	if (png_fast_read(codec))
		return STATUS_OK;
	if (run_step(codec, png_pixels_read))
		status = lenient ? make_do(codec, err) : error_copy(err, &codec->error);
	if (status == STATUS_OK)
		png_pixels_finish(codec);
	return status;
}

int png_codec_decode(struct image_reader *reader, void *pixels, struct error *err)
{
	int status = decode(reader->png, pixels, err);

	forget(reader->png);
	return status;
}

int png_codec_prepare(struct error *err)
{
	int status = libpng_load(err);

	if (!status)
		status = libz_load(err);
	return status ? status : png_fast_prepare(err);
}

void png_codec_free(struct png_codec *codec)
{
	if (!codec)
		return;
	forget(codec);
	png_fast_free(codec->fast);
	free(codec);
}
