/*
 * JPEG by libjpeg's scanline interface, with its default settings, so that pixels are those of
 * djpeg.
 *
 * Whatever calls libjpeg and can fail runs as a step below run_step(), the only function here that
 * calls setjmp: what a step needs and leaves behind is in struct jpeg_codec, never in a local
 * variable. Each image has a decompressor of its own: one that is used again remembers the tables
 * of the image before, and a file without tables would be decoded by those.
 *
 * libjpeg reads all scans of an image before it makes its first row. What it finds broken there, or
 * behind the last row, would cost all pixels: such a file is decoded as if it ended before that.
 */
#include "base/cleanup.h"
#include "image/decoders.h"
#include "image/jpeg_calls.h"
#include "image/jpeg_markers.h"

#include <limits.h>
#include <stdlib.h>

/* Scanlines asked for at a time; libjpeg makes 8 to 32 of them in one go. */
enum {
	SLOTS = 16
};

/* Runs a step; STATUS_OK, or the status that codec->error has after libjpeg gave up. */
static int run_step(struct jpeg_codec *codec, void (*step)(struct jpeg_codec *))
{
	if (setjmp(codec->jump))
		return codec->error.status;
	step(codec);
	return STATUS_OK;
}

/* Everything of one image; does nothing where there is none. */
static void forget(struct jpeg_codec *codec)
{
	jpeg_destroy_decompress(&codec->jpeg);
}

static void open_step(struct jpeg_codec *codec)
{
	struct jpeg_decompress_struct *jpeg = &codec->jpeg;
	const struct image_reader *reader = codec->reader;
	uint64_t memory = reader->limits.memory;

	jpeg_create_decompress(jpeg);
	jpeg_calls_set_markers(codec);
	jpeg->mem->max_memory_to_use = memory > LONG_MAX ? LONG_MAX : (long)memory;
	jpeg_mem_src(jpeg, reader->data, codec->size);
	jpeg_read_header(jpeg, TRUE);
}

static bool is_cmyk(const struct jpeg_codec *codec)
{
	return codec->jpeg.out_color_space == JCS_CMYK;
}

/* Fills in what the header says; fails for what has no colours we know. */
static int read_header(struct jpeg_codec *codec, struct error *err)
{
	const struct jpeg_decompress_struct *jpeg = &codec->jpeg;
	struct image_info *info = &codec->reader->info;

	info->file_width = jpeg->image_width;
	info->file_height = jpeg->image_height;
	info->file_bits = (uint8_t)jpeg->data_precision;
	info->file_channels = jpeg->out_color_space == JCS_GRAYSCALE ? 1 : is_cmyk(codec) ? 4 : 3;
	info->progressive = jpeg->progressive_mode;
	if (jpeg->out_color_space == JCS_UNKNOWN)
		return error_set(err, STATUS_BAD_DATA,
			"a JPEG of %d components is neither grey, RGB nor CMYK",
			jpeg->num_components);
	return reader_check_size(codec->reader, err);
}

static void choose_output(struct jpeg_codec *codec)
{
	const struct image_info *info = &codec->reader->info;
	bool bgr = codec->reader->options.layout == IMAGE_LAYOUT_BGR;

	codec->jpeg.scale_num = 1;
	codec->jpeg.scale_denom = info->scale;
	if (is_cmyk(codec))
		return;
	if (info->channels == 1)
		codec->jpeg.out_color_space = JCS_GRAYSCALE;
	else if (info->channels == 3)
		codec->jpeg.out_color_space = bgr ? JCS_EXT_BGR : JCS_RGB;
	else
		codec->jpeg.out_color_space = bgr ? JCS_EXT_BGRA : JCS_EXT_RGBA;
}

/* Whether it is delivered as CMYK: it is asked for, and somebody can tell what it means. */
static bool keeps_cmyk(const struct jpeg_codec *codec, const uint8_t *profile, size_t size)
{
	const struct image_options *options = &codec->reader->options;

	return is_cmyk(codec) && options->flags & IMAGE_KEEP_CMYK &&
	       (options->channels == 0 || options->channels == 3) &&
	       profile_is_for(profile, size, "CMYK");
}

/* What will be delivered, with or without the profile of the file. */
static int settle(struct jpeg_codec *codec, struct error *err)
{
	AUTO_FREE uint8_t *profile = NULL;
	size_t size;
	int status = profile_pieces_join(&codec->pieces, &profile, &size, err);

	if (status)
		return status;
	codec->reader->info.cmyk = profile && keeps_cmyk(codec, profile, size);
	status = reader_settle(codec->reader, err);
	if (status)
		return status;
	if (profile)
		return reader_keep_profile(codec->reader, profile, size, err);
	if (codec->pieces.broken)
		reader_warn(codec->reader, "the colour profile is broken and left out");
	return STATUS_OK;
}

static int begin(struct image_reader *reader, struct error *err)
{
	struct jpeg_codec *codec = reader->jpeg;

	if (codec)
		forget(codec);
	else
		codec = reader->jpeg = malloc(sizeof *codec);
	if (!codec)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	*codec = (struct jpeg_codec){.reader = reader, .size = reader->size};
	jpeg_calls_set_errors(codec);
	return STATUS_OK;
}

static int probe(struct jpeg_codec *codec, struct error *err)
{
	int status;

	if (run_step(codec, open_step))
		return error_copy(err, &codec->error);
	codec->described = true;
	status = read_header(codec, err);
	if (status == STATUS_OK)
		status = settle(codec, err);
	if (status == STATUS_OK)
		choose_output(codec);
	return status;
}

int jpeg_codec_prepare(struct error *err)
{
	return libjpeg_load(err);
}

int jpeg_codec_probe(struct image_reader *reader, struct error *err)
{
	int status = begin(reader, err);

	if (status)
		return status;
	status = probe(reader->jpeg, err);
	if (status)
		forget(reader->jpeg);
	return status;
}

static void pixels_step(struct jpeg_codec *codec)
{
	struct rows *rows = &codec->reader->rows;
	uint8_t *slots[SLOTS];

	while (codec->jpeg.output_scanline < codec->jpeg.output_height) {
		unsigned count = rows_slots(rows, slots, SLOTS);

		rows_take(rows, jpeg_read_scanlines(&codec->jpeg, slots, count));
	}
	jpeg_finish_decompress(&codec->jpeg);
}

static void start_step(struct jpeg_codec *codec)
{
	jpeg_start_decompress(&codec->jpeg);
}

/* The caller's memory is of the size that we have worked out; libjpeg must agree with it. */
static bool is_as_promised(
	const struct image_reader *reader, const struct jpeg_decompress_struct *jpeg)
{
	const struct geometry *geometry = &reader->geometry;
	bool turned = reader_orientation(reader) >= 5;

	return jpeg->output_width == (turned ? geometry->height : geometry->width) &&
	       jpeg->output_height == (turned ? geometry->width : geometry->height) &&
	       (is_cmyk(reader->jpeg) || jpeg->output_components == reader->info.channels);
}

/* Whether the error that libjpeg gave up with may be a warning. */
static bool can_go_on(const struct jpeg_codec *codec)
{
	return codec->broken && !(codec->reader->options.flags & IMAGE_STRICT);
}

/* Opens the file anew, to be read up to the marker that libjpeg stopped at; false if no scan comes
 * before that. */
static bool open_sound_part(struct jpeg_codec *codec)
{
	struct image_reader *reader = codec->reader;
	size_t stopped = (size_t)(codec->jpeg.src->next_input_byte - reader->data);
	size_t size = jpeg_last_marker(reader->data, codec->size, stopped);

	reader_warn(reader, codec->error.text);
	forget(codec);
	if (!size || begin(reader, NULL))
		return false;
	codec->size = size;
	codec->described = true;
	if (run_step(codec, open_step))
		return false;
	choose_output(codec);
	return true;
}

static int start(struct jpeg_codec *codec, struct error *err)
{
	struct error first;

	if (!run_step(codec, start_step))
		return STATUS_OK;
	if (!can_go_on(codec))
		return error_copy(err, &codec->error);
	first = codec->error;
	if (open_sound_part(codec) && !run_step(codec, start_step))
		return STATUS_OK;
	codec->error = first;
	return error_copy(err, &codec->error);
}

static int decode(struct jpeg_codec *codec, void *pixels, struct error *err)
{
	struct image_reader *reader = codec->reader;
	const struct jpeg_decompress_struct *jpeg = &codec->jpeg;
	struct rows_plan plan;
	int status = start(codec, err);

	if (status)
		return status;
	if (!is_as_promised(reader, jpeg))
		return error_set(err, STATUS_INTERNAL, "libjpeg scales to an unexpected size");
	plan = reader_plan(reader, is_cmyk(codec) && !reader->info.cmyk ? ROWS_CMYK : ROWS_PLAIN,
		jpeg->output_width, jpeg->output_height);
	plan.premultiply = false; /* what alpha there is, is opaque */
	status = rows_begin(&reader->rows, &plan, pixels, err);
	if (status)
		return status;
	if (!run_step(codec, pixels_step))
		return STATUS_OK;
	if (!can_go_on(codec) || reader->rows.taken == 0)
		return error_copy(err, &codec->error);
	reader_warn(reader, codec->error.text);
	rows_blank(&reader->rows);
	return STATUS_OK;
}

int jpeg_codec_decode(struct image_reader *reader, void *pixels, struct error *err)
{
	int status = decode(reader->jpeg, pixels, err);

	forget(reader->jpeg);
	return status;
}

void jpeg_codec_free(struct jpeg_codec *codec)
{
	if (!codec)
		return;
	forget(codec);
	free(codec);
}
