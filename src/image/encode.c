#include "image/encode.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "image/codecs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int encode_format_of(const char *name)
{
	static const struct {
		const char *name;
		enum encode_format format;
	} names[] = {
		{"png", ENCODE_PNG},
		{"jpeg", ENCODE_JPEG},
		{"jpg", ENCODE_JPEG},
		{"pnm", ENCODE_PNM},
		{"ppm", ENCODE_PNM},
		{"pgm", ENCODE_PNM},
		{"pam", ENCODE_PNM},
		{"raw", ENCODE_RAW},
		{"qoi", ENCODE_QOI},
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcasecmp(name, names[i].name) == 0)
			return (int)names[i].format;
	}
	return -1;
}

const char *encode_extension(enum encode_format format, unsigned channels)
{
	switch (format) {
	case ENCODE_PNG:
		return ".png";
	case ENCODE_JPEG:
		return ".jpg";
	case ENCODE_PNM:
		return channels == 1 ? ".pgm" : channels == 3 ? ".ppm" : ".pam";
	case ENCODE_QOI:
		return ".qoi";
	case ENCODE_RAW:
		break;
	}
	return ".raw";
}

static int write_bytes(FILE *file, const void *bytes, size_t size, struct error *err)
{
	errno = 0;
	if (fwrite(bytes, 1, size, file) != size)
		return encode_write_error(errno, err);
	return STATUS_OK;
}

static size_t row_bytes(const struct encode_image *image)
{
	return (size_t)image->width * image->channels * image->bits / 8;
}

static int write_raw(FILE *file, const struct encode_image *image, struct error *err)
{
	return write_bytes(file, image->pixels, row_bytes(image) * image->height, err);
}

static int write_pnm_header(FILE *file, const struct encode_image *image, struct error *err)
{
	unsigned most = image->bits == 16 ? 65535 : 255;
	int count;

	errno = 0;
	if (image->channels == 1 || image->channels == 3)
		count = fprintf(file, "P%d\n%u %u\n%u\n", image->channels == 1 ? 5 : 6,
			image->width, image->height, most);
	else
		count = fprintf(file,
			"P7\nWIDTH %u\nHEIGHT %u\nDEPTH %u\nMAXVAL %u\nTUPLTYPE %s\nENDHDR\n",
			image->width, image->height, image->channels, most,
			image->channels == 2 ? "GRAYSCALE_ALPHA" : "RGB_ALPHA");
	return count < 0 ? encode_write_error(errno, err) : STATUS_OK;
}

/* PNM wants the high byte first. */
static int write_pnm16(FILE *file, const struct encode_image *image, struct error *err)
{
	const uint16_t *sample = image->pixels;
	size_t samples = (size_t)image->width * image->channels;
	AUTO_FREE uint8_t *row = malloc(2 * samples);
	int status = STATUS_OK;

	if (!row)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	for (uint32_t y = 0; y < image->height && status == STATUS_OK; y++) {
		for (size_t i = 0; i < samples; i++, sample++) {
			row[2 * i] = (uint8_t)(*sample >> 8);
			row[2 * i + 1] = (uint8_t)*sample;
		}
		status = write_bytes(file, row, 2 * samples, err);
	}
	return status;
}

static int write_pnm(FILE *file, const struct encode_image *image, struct error *err)
{
	int status = write_pnm_header(file, image, err);

	if (status)
		return status;
	return image->bits == 16 ? write_pnm16(file, image, err) : write_raw(file, image, err);
}

static int check_jpeg(const struct encode_image *image, int quality, struct error *err)
{
	enum {
		JPEG_MAX = 65500
	};

	if (quality < 1 || quality > 100)
		return error_set(
			err, STATUS_USAGE, "the quality of a JPEG is 1 to 100, not %d", quality);
	if (image->bits == 16)
		return error_set(err, STATUS_USAGE,
			"JPEG cannot hold 16-bit samples; ask for 8 bits, or write png or pnm");
	if (image->channels == 2 || image->channels == 4)
		return error_set(err, STATUS_USAGE,
			"JPEG cannot hold alpha; ask for %s, or write png or pnm",
			image->channels == 2 ? "grey" : "RGB");
	if (image->width > JPEG_MAX || image->height > JPEG_MAX)
		return error_set(err, STATUS_USAGE,
			"JPEG cannot hold %u×%u, as a side has at most %d pixels; write png or pnm",
			image->width, image->height, JPEG_MAX);
	return STATUS_OK;
}

static int check_qoi(const struct encode_image *image, struct error *err)
{
	if (image->bits == 16)
		return error_set(err, STATUS_USAGE,
			"QOI cannot hold 16-bit samples; ask for 8 bits, or write png or pnm");
	if (image->channels < 3)
		return error_set(err, STATUS_USAGE,
			"QOI cannot hold grey; ask for RGB or RGBA, or write png or pnm");
	return STATUS_OK;
}

static int check_image(const struct encode_image *image, struct error *err)
{
	uint64_t bytes;

	if (image->channels < 1 || image->channels > 4 || (image->bits != 8 && image->bits != 16) ||
		image->width == 0 || image->height == 0)
		return error_set(err, STATUS_USAGE, "%u×%u, %u channels of %u bits is no image",
			image->width, image->height, image->channels, image->bits);
	if (!size_multiply((uint64_t)image->width * image->height, 8, &bytes) || bytes > SIZE_MAX)
		return error_set(err, STATUS_USAGE, "%u×%u is too large to write", image->width,
			image->height);
	return STATUS_OK;
}

int encode_write(FILE *file, enum encode_format format, const struct encode_image *image,
	const struct encode_options *options, struct error *err)
{
	int quality = options && options->quality ? options->quality : 90;
	int status = check_image(image, err);

	if (status == STATUS_OK && format == ENCODE_JPEG)
		status = check_jpeg(image, quality, err);
	if (status == STATUS_OK && format == ENCODE_QOI)
		status = check_qoi(image, err);
	if (status)
		return status;
	switch (format) {
	case ENCODE_PNG:
		return encode_png(file, image, err);
	case ENCODE_JPEG:
		return encode_jpeg(file, image, quality, err);
	case ENCODE_PNM:
		return write_pnm(file, image, err);
	case ENCODE_RAW:
		return write_raw(file, image, err);
	case ENCODE_QOI:
		return encode_qoi(file, image, err);
	}
	return error_set(err, STATUS_USAGE, "there is no image format %d", (int)format);
}
