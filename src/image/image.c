#include "image/image.h"

#include "dynload/libm.h"
#include "image/decoders.h"
#include "image/deliver.h"
#include "image/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_BYTES = 8, /* shown of what is no image */
	FIRST_BYTES_SIZE = 3 * FIRST_BYTES + 1,
	LATE_START_MAX = 4096, /* how far into a file its beginning is looked for */
};

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

/* Where a PNG or JPEG begins that has something before it, and which of them; 0 for nowhere. */
static size_t find_late_start(const uint8_t *data, size_t size, const char **ret_name)
{
	for (size_t at = 1; at < size && at < LATE_START_MAX; at++) {
		enum image_format format = image_sniff(data + at, size - at);

		if (format == IMAGE_FORMAT_UNKNOWN)
			continue;
		*ret_name = format == IMAGE_FORMAT_PNG ? "PNG" : "JPEG";
		return at;
	}
	return 0;
}

/* "3c 68 74 6d 6c": the first bytes. */
static const char *first_bytes(const uint8_t *data, size_t size, char text[FIRST_BYTES_SIZE])
{
	size_t count = size < FIRST_BYTES ? size : FIRST_BYTES;

	for (size_t i = 0; i < count; i++)
		snprintf(text + 3 * i, 4, "%02x ", data[i]);
	text[3 * count - 1] = '\0';
	return text;
}

static int refuse_stranger(const uint8_t *data, size_t size, struct error *err)
{
	char text[FIRST_BYTES_SIZE];
	const char *name;
	size_t late;

	if (size == 0)
		return error_set(err, STATUS_BAD_DATA, "the file is empty");
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		const struct signature *one = &strangers[i];

		if (has_bytes(data, size, one->offset, one->bytes, one->length))
			return error_set(err, STATUS_BAD_DATA,
				"this is %s, and only PNG and JPEG are read", one->name);
	}
	late = find_late_start(data, size, &name);
	if (late)
		return error_set(err, STATUS_BAD_DATA,
			"what looks like a %s begins only at byte %zu, behind %s", name, late,
			first_bytes(data, late, text));
	return error_set(err, STATUS_BAD_DATA, "this is neither PNG nor JPEG: it begins with %s",
		first_bytes(data, size, text));
}

int image_reader_new(struct image_reader **ret, struct error *err)
{
	int status = png_codec_prepare(err);
	struct image_reader *reader;

	if (!status)
		status = jpeg_codec_prepare(err);
	if (!status)
		status = libm_load(err); /* to resize */
	if (status)
		return status;
	reader = calloc(1, sizeof *reader);
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

void image_reader_by_libpng(struct image_reader *reader, bool alone)
{
	reader->by_libpng = alone;
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

	status = image_options_check(&reader->options, err);
	if (status)
		return status;
	if (format == IMAGE_FORMAT_PNG)
		status = png_codec_probe(reader, err);
	else if (format == IMAGE_FORMAT_JPEG)
		status = jpeg_codec_probe(reader, err);
	else
		status = refuse_stranger(data, size, err);
	if (!status)
		status = deliver_check(reader, err);
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
	status = deliver(reader, pixels, err);
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
