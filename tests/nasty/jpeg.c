/* JPEG: wrong markers and sizes, and bombs. */
#include "internal.h"

#include <string.h>

struct segment {
	size_t at, size; /* marker and length included */
	uint8_t marker;
};

static const uint8_t end_of_image[] = {0xff, 0xd9};

/* The marker segments; the entropy-coded data after a start of scan is left out. */
static size_t find_segments(const struct bytes *file, struct segment *segments, size_t most)
{
	size_t count = 0;

	for (size_t at = 2; at + 4 <= file->size && count < most;) {
		uint8_t marker = file->data[at + 1];
		bool alone = marker == 0 || marker == 0xff || (marker >= 0xd0 && marker <= 0xd9);

		if (file->data[at] != 0xff || alone) {
			at++;
			continue;
		}
		segments[count] = (struct segment){
			at, 2 + ((size_t)file->data[at + 2] << 8 | file->data[at + 3]), marker};
		at += segments[count++].size;
	}
	return count;
}

static void spoil_segment(
	struct nasty *nasty, const struct bytes *file, const struct segment *segment)
{
	static const uint16_t lengths[] = {0, 1, 2, 3, 0x7fff, 0xffff};
	struct bytes copy = bytes_copy(file, file->size);

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		copy.data[segment->at + 2] = (uint8_t)(lengths[i] >> 8);
		copy.data[segment->at + 3] = (uint8_t)lengths[i];
		nasty_show(nasty, &copy, EITHER, "jpeg-length-%02x-%zu-%zu", segment->marker,
			segment->at, i);
	}
	bytes_free(&copy);

	for (unsigned marker = 0xc0; marker < 0x100; marker++) {
		copy = bytes_copy(file, file->size);
		copy.data[segment->at + 1] = (uint8_t)marker;
		nasty_show(nasty, &copy, EITHER, "jpeg-marker-%02x-%zu-%02x", segment->marker,
			segment->at, marker);
		bytes_free(&copy);
	}

	copy = bytes_copy(file, file->size);
	bytes_replace(&copy, segment->at, segment->size, NULL, 0);
	nasty_show(nasty, &copy, EITHER, "jpeg-without-%02x-%zu", segment->marker, segment->at);
	bytes_free(&copy);

	for (unsigned times = 1; times <= 1000; times *= 10) {
		copy = bytes_copy(file, segment->at);
		bytes_repeat(&copy, file->data + segment->at, segment->size, times);
		bytes_add(&copy, file->data + segment->at, file->size - segment->at);
		nasty_show(nasty, &copy, EITHER, "jpeg-again-%02x-%zu-%u", segment->marker,
			segment->at, times);
		bytes_free(&copy);
	}
}

static void spoil_segments(struct nasty *nasty, bool progressive)
{
	enum {
		MOST = 64
	};
	uint8_t exif[EXIF_SIZE], icc[ICC_SIZE];
	struct bytes file = make_jpeg(&(struct jpeg_sample){.width = 33,
		.height = 33,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.across = 2,
		.down = 2,
		.progressive = progressive,
		.restart = progressive ? 0 : 2,
		.exif = make_exif(exif, 5, false),
		.icc = make_icc(icc, "RGB "),
		.comments = 1});
	struct segment segments[MOST];
	size_t count = find_segments(&file, segments, MOST);

	for (size_t i = 0; i < count; i++)
		spoil_segment(nasty, &file, &segments[i]);
	bytes_free(&file);
}

static struct segment find_frame(const struct bytes *file)
{
	enum {
		MOST = 64
	};
	struct segment segments[MOST];
	size_t count = find_segments(file, segments, MOST);

	for (size_t i = 0; i < count; i++)
		if (segments[i].marker >= 0xc0 && segments[i].marker <= 0xc2)
			return segments[i];
	return (struct segment){0};
}

static void set_size(struct bytes *file, unsigned width, unsigned height)
{
	uint8_t *frame = file->data + find_frame(file).at;

	frame[5] = (uint8_t)(height >> 8);
	frame[6] = (uint8_t)height;
	frame[7] = (uint8_t)(width >> 8);
	frame[8] = (uint8_t)width;
}

static void sizes(struct nasty *nasty, const char *what, bool progressive)
{
	static const unsigned sides[] = {0, 1, 7, 8, 9, 4096, 10000, 65500, 65535};
	struct bytes file = make_jpeg(&(struct jpeg_sample){.width = 64,
		.height = 64,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.progressive = progressive});

	for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
		for (size_t k = 0; k < sizeof sides / sizeof *sides; k++) {
			unsigned long pixels = (unsigned long)sides[i] * sides[k];

			set_size(&file, sides[i], sides[k]);
			nasty_show(nasty, &file, !pixels || pixels > 100000000 ? REFUSED : EITHER,
				"jpeg-size-%s-%u-%u", what, sides[i], sides[k]);
		}
	bytes_free(&file);
}

/* Every byte of the frame header, which names components and sampling, through all its values. */
static void frames(struct nasty *nasty)
{
	struct bytes file = make_jpeg(&(struct jpeg_sample){.width = 17,
		.height = 9,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.across = 2,
		.down = 1});
	struct segment frame = find_frame(&file);

	for (size_t at = frame.at + 4; at < frame.at + frame.size; at++)
		for (unsigned value = 0; value < 256; value++) {
			struct bytes copy = bytes_copy(&file, file.size);

			copy.data[at] = (uint8_t)value;
			nasty_show(
				nasty, &copy, EITHER, "jpeg-frame-%zu-%02x", at - frame.at, value);
			bytes_free(&copy);
		}
	bytes_free(&file);
}

/*
 * A grey progressive image whose scans after the first are ten bytes each and cover all of it: time
 * to decode grows with pixels times scans, and nothing in the file says so.
 */
static void scan_bomb(struct nasty *nasty, unsigned side, unsigned scans, enum verdict verdict)
{
	/* One code, of one bit: the end of a band of all remaining blocks. */
	static const uint8_t table[] = {
		0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0};
	static const uint8_t scan[] = {0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0, 0x00, 0x00, 0x3f};
	struct bytes file = make_jpeg(&(struct jpeg_sample){.width = 64,
		.height = 64,
		.input = JCS_GRAYSCALE,
		.inside = JCS_GRAYSCALE,
		.progressive = true});

	set_size(&file, side, side);
	file.size -= 2;
	bytes_add(&file, table, sizeof table);
	bytes_repeat(&file, scan, sizeof scan, scans);
	bytes_add(&file, end_of_image, sizeof end_of_image);
	nasty_show(nasty, &file, verdict, "jpeg-scans-%u-%u", side, scans);
	bytes_free(&file);
}

/* Profiles come in numbered parts; the numbers lie here. */
static void profiles(struct nasty *nasty)
{
	static const struct {
		const char *what;
		unsigned parts, first, total;
		int step;
	} lies[] = {
		{"all", 255, 1, 255, 1},
		{"backward", 255, 255, 255, -1},
		{"same", 255, 1, 255, 0},
		{"none", 10, 0, 0, 0},
		{"beyond", 10, 250, 10, 1},
		{"missing", 9, 1, 10, 1},
		{"one", 255, 1, 1, 1},
	};
	static uint8_t part[65535 + 2];

	memcpy(part, "\xff\xe2\xff\xffICC_PROFILE", 16);
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct bytes file = make_jpeg(&(struct jpeg_sample){
			.width = 8, .height = 8, .input = JCS_GRAYSCALE, .inside = JCS_GRAYSCALE});

		for (unsigned k = 0; k < lies[i].parts; k++) {
			part[16] = (uint8_t)((int)lies[i].first + (int)k * lies[i].step);
			part[17] = (uint8_t)lies[i].total;
			bytes_replace(&file, 2 + k * sizeof part, 0, part, sizeof part);
		}
		nasty_show(nasty, &file, EITHER, "jpeg-profile-%s", lies[i].what);
		bytes_free(&file);
	}
}

/* Every 16-bit word of the EXIF block set to the extremes: offsets, counts and types among them. */
static void exif(struct nasty *nasty)
{
	static const uint16_t words[] = {0, 1, 8, 0xff, 0x7fff, 0x8000, 0xfffe, 0xffff};
	uint8_t block[EXIF_SIZE];

	for (unsigned big = 0; big < 2; big++)
		for (size_t at = 0; at < EXIF_SIZE; at++)
			for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
				struct bytes data = make_exif(block, 6, big), file;

				block[at] = (uint8_t)words[i];
				if (at + 1 < EXIF_SIZE)
					block[at + 1] = (uint8_t)(words[i] >> 8);
				file = make_jpeg(&(struct jpeg_sample){.width = 8,
					.height = 16,
					.input = JCS_GRAYSCALE,
					.inside = JCS_GRAYSCALE,
					.exif = data});
				nasty_show(nasty, &file, WHOLE, "jpeg-exif-%u-%zu-%zu", big, at, i);
				bytes_free(&file);
			}
}

void nasty_jpeg(struct nasty *nasty)
{
	spoil_segments(nasty, false);
	spoil_segments(nasty, true);
	sizes(nasty, "baseline", false);
	sizes(nasty, "progressive", true);
	frames(nasty);
	scan_bomb(nasty, 1000, 80, EITHER);
	scan_bomb(nasty, 8000, 80, EITHER);
	scan_bomb(nasty, 8000, 200, REFUSED);
	scan_bomb(nasty, 8000, 80000, REFUSED);
	profiles(nasty);
	exif(nasty);
}
