#include "image/image.h"

#include "base/number.h"
#include "base/text.h"
#include "image/reader.h"

#include <stdlib.h>
#include <string.h>

/* What people also put into folders of images: bytes at an offset, and what to call them. */
static const struct signature {
	const char *name;
	const char *bytes;
	uint8_t length, offset;
} strangers[] = {
	{"a GIF", "GIF8", 4, 0},
	{"a WebP", "WEBP", 4, 8},
	{"a BMP", "BM", 2, 0},
	{"a TIFF", "II*\0", 4, 0},
	{"a TIFF", "MM\0*", 4, 0},
	{"an AVIF", "ftypavif", 8, 4},
	{"a HEIC", "ftypheic", 8, 4},
	{"a JPEG XL", "\xff\x0a", 2, 0},
	{"a JPEG XL", "\0\0\0\x0cJXL ", 8, 0},
	{"a JPEG 2000", "\0\0\0\x0cjP  ", 8, 0},
	{"an SVG", "<svg", 4, 0},
	{"a PDF", "%PDF", 4, 0},
};

static bool has_bytes(
	const uint8_t *data, size_t size, size_t offset, const void *bytes, size_t length)
{
	return size >= offset + length && memcmp(data + offset, bytes, length) == 0;
}

enum image_format image_sniff(const void *data, size_t size)
{
	if (has_bytes(data, size, 0, "\x89PNG\r\n\x1a\n", 8))
		return IMAGE_FORMAT_PNG;
	if (has_bytes(data, size, 0, "\xff\xd8\xff", 3))
		return IMAGE_FORMAT_JPEG;
	return IMAGE_FORMAT_UNKNOWN;
}

static int refuse_stranger(const uint8_t *data, size_t size, struct error *err)
{
	if (size == 0)
		return error_set(err, STATUS_BAD_DATA, "the file is empty");
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		const struct signature *one = &strangers[i];

		if (has_bytes(data, size, one->offset, one->bytes, one->length))
			return error_set(err, STATUS_BAD_DATA,
				"this is %s, and only PNG and JPEG are read", one->name);
	}
	return error_set(err, STATUS_BAD_DATA, "this is neither PNG nor JPEG");
}

int image_reader_new(struct image_reader **ret, struct error *err)
{
	struct image_reader *reader = calloc(1, sizeof *reader);

	if (!reader)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	*ret = reader;
	return STATUS_OK;
}

struct image_reader *image_reader_free(struct image_reader *reader)
{
	if (!reader)
		return NULL;
	png_codec_free(reader->png);
	jpeg_codec_free(reader->jpeg);
	rows_release(&reader->rows);
	free(reader->profile);
	free(reader);
	return NULL;
}

static int check_options(const struct image_options *options, struct error *err)
{
	unsigned scale = options->scale, channels = options->channels;

	if (scale > 8 || (scale & (scale - 1)))
		return error_set(err, STATUS_USAGE, "the scale is 1, 2, 4 or 8, not %u", scale);
	if (channels == 2 || channels > 4)
		return error_set(err, STATUS_USAGE,
			"the channels are 1 (grey), 3 (RGB) or 4 (RGBA), not %u", channels);
	if (options->layout > IMAGE_LAYOUT_BGR)
		return error_set(err, STATUS_USAGE, "there is no layout %u", options->layout);
	if (options->flags & IMAGE_STRICT && options->flags & IMAGE_LENIENT)
		return error_set(err, STATUS_USAGE, "strict and lenient exclude each other");
	return STATUS_OK;
}

int image_probe(struct image_reader *reader, const void *data, size_t size,
	const struct image_options *options, const struct image_limits *limits,
	struct image_info *ret, struct error *err)
{
	enum image_format format = image_sniff(data, size);
	int status;

	reader->ready = false;
	free(reader->profile);
	reader->profile = NULL;
	reader->data = data;
	reader->size = size;
	reader->options = options ? *options : (struct image_options){0};
	reader->limits = limits ? *limits : (struct image_limits){0};
	reader->info = (struct image_info){.format = (uint8_t)format};
	reader->warning.text[0] = '\0';

	status = check_options(&reader->options, err);
	if (status)
		return status;
	if (format == IMAGE_FORMAT_PNG)
		status = png_codec_probe(reader, err);
	else if (format == IMAGE_FORMAT_JPEG)
		status = jpeg_codec_probe(reader, err);
	else
		status = refuse_stranger(data, size, err);
	if (status)
		return status;
	reader->ready = true;
	*ret = reader->info;
	return STATUS_OK;
}

int image_decode(struct image_reader *reader, void *pixels, size_t bytes, struct image_warning *ret,
	struct error *err)
{
	int status;

	if (!reader->ready)
		return error_set(err, STATUS_INTERNAL, "there is no probed image to decode");
	if (bytes < reader->info.bytes)
		return error_set(
			err, STATUS_INTERNAL, "the memory is too small for the decoded image");
	reader->ready = false;
	status = reader->info.format == IMAGE_FORMAT_PNG ? png_codec_decode(reader, pixels, err)
							 : jpeg_codec_decode(reader, pixels, err);
	if (status == STATUS_OK && ret)
		*ret = reader->warning;
	return status;
}

struct image_warning image_probe_warning(const struct image_reader *reader)
{
	return reader->warning;
}

const void *image_profile(const struct image_reader *reader, size_t *ret_size)
{
	*ret_size = reader->profile ? reader->info.icc_bytes : 0;
	return reader->profile;
}

void reader_warn(struct image_reader *reader, const char *text)
{
	if (!reader->warning.text[0])
		text_escape(text, strlen(text), reader->warning.text, sizeof reader->warning.text);
}

int reader_check_size(const struct image_reader *reader, struct error *err)
{
	const struct image_limits *limits = &reader->limits;
	uint32_t width = reader->info.file_width, height = reader->info.file_height;

	if (limits->side && (width > limits->side || height > limits->side))
		return error_set(err, STATUS_BAD_DATA,
			"%u×%u is over the limit of %u pixels a side (--max-side)", width, height,
			limits->side);
	if (limits->pixels && (uint64_t)width * height > limits->pixels)
		return error_set(err, STATUS_BAD_DATA,
			"%u×%u is over the limit of %.7g megapixels (--max-pixels)", width, height,
			(double)limits->pixels / 1e6);
	return STATUS_OK;
}

unsigned reader_orientation(const struct image_reader *reader)
{
	if (reader->options.flags & IMAGE_KEEP_ORIENTATION || reader->info.orientation == 0)
		return 1;
	return reader->info.orientation;
}

/* Delivered width and height at a scale. */
static void scale_size(struct image_info *info, unsigned scale, bool turned)
{
	uint32_t width = info->file_width / scale + (info->file_width % scale != 0);
	uint32_t height = info->file_height / scale + (info->file_height % scale != 0);

	info->scale = (uint8_t)scale;
	info->width = turned ? height : width;
	info->height = turned ? width : height;
}

static void settle_size(struct image_info *info, const struct image_options *options, bool turned)
{
	unsigned scale = options->scale ? options->scale : 1;
	bool fit = options->fit_width || options->fit_height;

	if (fit)
		scale = 8;
	for (scale_size(info, scale, turned); fit && info->scale > 1;) {
		if (info->width >= options->fit_width && info->height >= options->fit_height)
			break;
		scale_size(info, info->scale / 2, turned);
	}
}

/* As the file has them, but CMYK is delivered as RGB. */
static uint8_t own_channels(const struct image_info *info)
{
	bool cmyk = info->format == IMAGE_FORMAT_JPEG && info->file_channels == 4;

	return cmyk ? 3 : info->file_channels;
}

int reader_settle(struct image_reader *reader, struct error *err)
{
	const struct image_options *options = &reader->options;
	struct image_info *info = &reader->info;
	char need[SIZE_TEXT_SIZE], limit[SIZE_TEXT_SIZE];

	settle_size(info, options, reader_orientation(reader) >= 5);
	info->channels = options->channels ? options->channels : own_channels(info);
	info->bits = info->file_bits == 16 && options->flags & IMAGE_NATIVE_DEPTH ? 16 : 8;

	/* 2^31 x 2^31 x 4 x 2 does not fit 64 bits */
	if (!size_multiply((uint64_t)info->width * info->height,
		    info->channels * (uint64_t)info->bits / 8, &info->bytes) ||
		info->bytes > SIZE_MAX / 2)
		return error_set(err, STATUS_BAD_DATA, "%u×%u does not fit this machine's memory",
			info->width, info->height);
	if (reader->limits.bytes && info->bytes > reader->limits.bytes)
		return error_set(err, STATUS_BAD_DATA,
			"%u×%u is %s of pixels, over the limit of %s (--max-bytes)", info->width,
			info->height, format_size(info->bytes, need),
			format_size(reader->limits.bytes, limit));
	return STATUS_OK;
}

struct rows_plan reader_plan(
	const struct image_reader *reader, enum rows_filter filter, uint32_t width, uint32_t height)
{
	return (struct rows_plan){
		.width = width,
		.height = height,
		.channels = reader->info.channels,
		.bits = reader->info.bits,
		.filter = (uint8_t)filter,
		.scale = reader->info.scale,
		.orientation = (uint8_t)reader_orientation(reader),
		.bgr = reader->options.layout == IMAGE_LAYOUT_BGR,
		.premultiply = reader->options.flags & IMAGE_PREMULTIPLY &&
			       (reader->info.channels == 2 || reader->info.channels == 4),
		.memory = reader->limits.memory,
	};
}

int reader_keep_profile(
	struct image_reader *reader, const void *profile, size_t size, struct error *err)
{
	enum {
		COLOUR_SPACE = 16,
		HEADER = 128
	};
	const char *space = reader->info.channels <= 2 ? "GRAY" : "RGB ";

	if (size < HEADER || size > UINT32_MAX)
		return STATUS_OK;
	if (memcmp((const char *)profile + COLOUR_SPACE, space, 4) != 0) {
		reader_warn(reader, "the colour profile is left out, as it describes other "
				    "channels than those delivered");
		return STATUS_OK;
	}
	reader->profile = malloc(size);
	if (!reader->profile)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	memcpy(reader->profile, profile, size);
	reader->info.icc_bytes = (uint32_t)size;
	return STATUS_OK;
}
