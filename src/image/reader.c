/*
 * What the codecs share: size and limits, what will be delivered, warnings, the colour profile.
 */
#include "image/reader.h"

#include "base/number.h"
#include "base/text.h"
#include "image/profile.h"

#include <stdlib.h>
#include <string.h>

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
			"%u×%u is over the limit of %u pixels a side (serve --max-side)", width,
			height, limits->side);
	if (limits->pixels && (uint64_t)width * height > limits->pixels)
		return error_set(err, STATUS_BAD_DATA,
			"%u×%u is over the limit of %.7g megapixels (serve --max-pixels)", width,
			height, (double)limits->pixels / 1e6);
	return STATUS_OK;
}

unsigned reader_orientation(const struct image_reader *reader)
{
	if (reader->options.flags & IMAGE_KEEP_ORIENTATION || reader->info.orientation == 0)
		return 1;
	return reader->info.orientation;
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

	bool turned = reader_orientation(reader) >= 5;
	int status = geometry_settle(options, &reader->limits,
		turned ? info->file_height : info->file_width,
		turned ? info->file_width : info->file_height, info->format == IMAGE_FORMAT_JPEG,
		&reader->geometry, err);

	if (status)
		return status;
	info->width = reader->geometry.to_width;
	info->height = reader->geometry.to_height;
	info->scale = reader->geometry.scale;
	info->channels = info->cmyk          ? 4
			 : options->channels ? options->channels
					     : own_channels(info);
	info->bits = info->file_bits == 16 && options->flags & IMAGE_NATIVE_DEPTH ? 16 : 8;

	/* 2^31 x 2^31 x 4 x 2 does not fit 64 bits */
	if (!size_multiply((uint64_t)info->width * info->height,
		    info->channels * (uint64_t)info->bits / 8, &info->bytes) ||
		info->bytes > SIZE_MAX / 2)
		return error_set(err, STATUS_BAD_DATA, "%u×%u does not fit this machine's memory",
			info->width, info->height);
	if (reader->limits.bytes && info->bytes > reader->limits.bytes)
		return error_set(err, STATUS_BAD_DATA,
			"%u×%u is %s of pixels, over the limit of %s (serve --max-bytes)",
			info->width, info->height, format_size(info->bytes, need),
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
		/* resizing does it itself */
		.premultiply = reader->options.flags & IMAGE_PREMULTIPLY &&
			       !reader->geometry.resized &&
			       (reader->info.channels == 2 || reader->info.channels == 4),
		.memory = reader->limits.memory,
		.take = reader->take,
		.context = reader->context,
	};
}

int reader_keep_profile(
	struct image_reader *reader, const void *profile, size_t size, struct error *err)
{
	const char *space = reader->info.cmyk            ? "CMYK"
			    : reader->info.channels <= 2 ? "GRAY"
							 : "RGB ";

	if (size < PROFILE_HEADER_SIZE || size > UINT32_MAX)
		return STATUS_OK;
	if (!profile_is_for(profile, size, space)) {
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
