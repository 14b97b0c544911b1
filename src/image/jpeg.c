/*
 * JPEG by libjpeg's scanline interface, with its default settings, so that pixels are those of
 * djpeg.
 *
 * Whatever calls libjpeg and can fail runs as a step below run_step(), the only function here that
 * calls setjmp: what a step needs and leaves behind is in struct jpeg_codec, never in a local
 * variable. Each image has a decompressor of its own: one that is used again remembers the tables
 * of the image before, and a file without tables would be decoded by those. All steps, and what
 * libjpeg calls back, are in this one file, as they share that struct.
 *
 * libjpeg reads all scans of an image before it makes its first row. What it finds broken there, or
 * behind the last row, would cost all pixels: such a file is decoded as if it ended before that.
 */
#include "base/cleanup.h"
#include "base/number.h"
#include "base/text.h"
#include "image/decoders.h"
#include "image/exif.h"
#include "image/jpeg_markers.h"
#include "image/profile.h"
#include "image/reader.h"

#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>
#include <limits.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* Scanlines asked for at a time; libjpeg makes 8 to 32 of them in one go. */
enum {
	SLOTS = 16
};

struct jpeg_codec {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr manager;
	struct jpeg_progress_mgr progress;
	jmp_buf jump;
	struct error error;
	struct image_reader *reader;
	struct profile_pieces pieces;
	size_t size;      /* of the file, as far as it is read */
	uint32_t markers; /* APP1, APP2 and COM seen */
	bool described;   /* the header was read: what comes later changes nothing that was said */
	bool broken;      /* `error` is a fault of the file that libjpeg found */
};

static void give_up(struct jpeg_codec *codec)
{
	longjmp(codec->jump, 1);
}

static const char *library_says(j_common_ptr jpeg, char *text, size_t size)
{
	char raw[JMSG_LENGTH_MAX];

	jpeg->err->format_message(jpeg, raw);
	return text_escape(raw, strlen(raw), text, size);
}

static void on_error(j_common_ptr jpeg)
{
	struct jpeg_codec *codec = jpeg->client_data;
	struct error *error = &codec->error;
	char text[JMSG_LENGTH_MAX], limit[SIZE_TEXT_SIZE];

	library_says(jpeg, text, sizeof text);
	switch (jpeg->err->msg_code) {
	case JERR_BAD_PRECISION:
		error_set(error, STATUS_BAD_DATA,
			"only JPEG of 8 bits a sample can be decoded here: %s", text);
		break;
	case JERR_SOF_UNSUPPORTED:
		error_set(error, STATUS_BAD_DATA,
			"lossless and hierarchical JPEG cannot be decoded here: %s", text);
		break;
#if JPEG_LIB_VERSION < 70 /* later ones can */
	case JERR_ARITH_NOTIMPL:
		error_set(error, STATUS_BAD_DATA,
			"arithmetic-coded JPEG cannot be decoded here: %s", text);
		break;
#endif
	case JERR_NO_BACKING_STORE:
		error_set(error, STATUS_BAD_DATA, "decoding needs more than the memory limit of %s",
			format_size(codec->reader->limits.memory, limit));
		break;
	case JERR_OUT_OF_MEMORY:
		error_set(error, STATUS_TRY_AGAIN, "out of memory: %s", text);
		break;
	default:
		error_set(error, STATUS_BAD_DATA, "broken JPEG: %s", text);
		codec->broken = true;
	}
	give_up(codec);
}

/* Whether pixels are missing or wrong after this warning, rather than that something was odd. */
static bool is_damage(int code)
{
	switch (code) {
	case JWRN_ARITH_BAD_CODE:
	case JWRN_HIT_MARKER:
	case JWRN_HUFF_BAD_CODE:
	case JWRN_JPEG_EOF:
	case JWRN_MUST_RESYNC:
	case JWRN_NOT_SEQUENTIAL:
		return true;
	default:
		return false;
	}
}

static void on_message(j_common_ptr jpeg, int level)
{
	struct jpeg_codec *codec = jpeg->client_data;
	char text[JMSG_LENGTH_MAX];

	if (level >= 0)
		return;
	if (codec->reader->options.flags & IMAGE_STRICT && is_damage(jpeg->err->msg_code))
		on_error(jpeg);
	if (jpeg->err->num_warnings++ == 0) {
		jpeg->err->format_message(jpeg, text);
		reader_warn(codec->reader, text);
	}
}

/* Called for every row of blocks, also while the scans of a progressive image are gathered. */
static void on_progress(j_common_ptr jpeg)
{
	struct jpeg_codec *codec = jpeg->client_data;
	uint32_t most = codec->reader->limits.scans;

	if (!most || codec->jpeg.input_scan_number <= (int64_t)most)
		return;
	error_set(&codec->error, STATUS_BAD_DATA, "more scans than the limit of %u (--max-scans)",
		most);
	give_up(codec);
}

/*
 * Looks at an APP1, APP2 or COM marker in place. libjpeg's own way would keep a copy of each:
 * many small ones would fill the memory.
 */
static boolean on_marker(j_decompress_ptr jpeg)
{
	struct jpeg_codec *codec = jpeg->client_data;
	struct jpeg_source_mgr *source = jpeg->src;
	const uint8_t *data = source->next_input_byte;
	uint32_t most = codec->reader->limits.chunks;
	size_t size;

	if (source->bytes_in_buffer < 2)
		ERREXIT(jpeg, JERR_INPUT_EOF);
	size = (size_t)data[0] << 8 | data[1];
	if (size < 2) /* as libjpeg does by itself, for what it skips */
		size = 2;
	if (most && ++codec->markers > most) {
		error_set(&codec->error, STATUS_BAD_DATA,
			"more markers than the limit of %u (--max-chunks)", most);
		give_up(codec);
	}
	if (size <= source->bytes_in_buffer && !codec->described) {
		struct image_info *info = &codec->reader->info;

		if (jpeg->unread_marker == JPEG_COM)
			info->comments++;
		else if (jpeg->unread_marker == JPEG_APP0 + 2)
			profile_pieces_add(&codec->pieces, data + 2, size - 2);
		else if (!info->orientation && size >= 8 && memcmp(data + 2, "Exif\0", 6) == 0)
			info->orientation = (uint8_t)exif_orientation(data + 8, size - 8);
	}
	source->skip_input_data(jpeg, (long)size);
	return TRUE;
}

/* Runs a step; STATUS_OK, or the status that codec->error has after libjpeg gave up. */
static int run_step(struct jpeg_codec *codec, void (*step)(struct jpeg_codec *))
{
	if (setjmp(codec->jump))
		return codec->error.status;
	step(codec);
	return STATUS_OK;
}

static int hand_on(const struct jpeg_codec *codec, struct error *err)
{
	if (err)
		*err = codec->error;
	return codec->error.status;
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
	jpeg->progress = &codec->progress;
	jpeg->mem->max_memory_to_use = memory > LONG_MAX ? LONG_MAX : (long)memory;
	jpeg_set_marker_processor(jpeg, JPEG_APP0 + 1, on_marker);
	jpeg_set_marker_processor(jpeg, JPEG_APP0 + 2, on_marker);
	jpeg_set_marker_processor(jpeg, JPEG_COM, on_marker);
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
	if (!status && profile)
		return reader_keep_profile(codec->reader, profile, size, err);
	if (!status && codec->pieces.broken)
		reader_warn(codec->reader, "the colour profile is broken and left out");
	return status;
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
	codec->jpeg.err = jpeg_std_error(&codec->manager);
	codec->jpeg.client_data = codec;
	codec->manager.error_exit = on_error;
	codec->manager.emit_message = on_message;
	codec->progress.progress_monitor = on_progress;
	return STATUS_OK;
}

static int probe(struct jpeg_codec *codec, struct error *err)
{
	int status;

	if (run_step(codec, open_step))
		return hand_on(codec, err);
	codec->described = true;
	status = read_header(codec, err);
	if (status == STATUS_OK)
		status = settle(codec, err);
	if (status == STATUS_OK)
		choose_output(codec);
	return status;
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
static bool may_go_on(const struct jpeg_codec *codec)
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
	if (!may_go_on(codec))
		return hand_on(codec, err);
	first = codec->error;
	if (open_sound_part(codec) && !run_step(codec, start_step))
		return STATUS_OK;
	codec->error = first;
	return hand_on(codec, err);
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
	if (!may_go_on(codec) || reader->rows.taken == 0)
		return hand_on(codec, err);
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
