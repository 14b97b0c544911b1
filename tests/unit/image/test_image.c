/* Every kind of PNG and JPEG, against the libraries used plainly. */
#include "reader.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static const char *describe_png(const struct png_sample *sample)
{
	static char text[100];

	snprintf(text, sizeof text, "%ux%u type %d depth %d%s%s", sample->width, sample->height,
		sample->type, sample->depth, sample->interlaced ? " interlaced" : "",
		sample->transparent ? " tRNS" : "");
	return text;
}

static void compare_png(const struct png_sample *sample, bool native)
{
	struct image_options options = {.flags = native ? IMAGE_NATIVE_DEPTH : 0};
	struct bytes file = make_png(sample);
	struct picture plain = plain_png(file, native);
	struct outcome got = {0};

	if (decode_picture(reader, file, &options, NULL, &got))
		fail_msg("%s: %s", describe_png(sample), got.error.text);
	assert_same_picture(&got.picture, &plain, describe_png(sample));
	assert_int_equal(got.info.file_bits, sample->depth);
	assert_int_equal(got.info.format, IMAGE_FORMAT_PNG);
	assert_int_equal(got.info.progressive, sample->interlaced);
	assert_int_equal(got.info.bytes,
		(uint64_t)plain.width * plain.height * plain.channels * plain.bits / 8);
	assert_string_equal(got.warning.text, "");
	free(got.picture.pixels);
	free(plain.pixels);
	free(file.data);
}

/* Every colour type with every depth it may have. */
static const struct {
	int type, depth;
} png_kinds[15] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1}, {3, 2}, {3, 4},
	{3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};

static void every_kind_of_png_is_what_libpng_gives(void **state)
{
	static const uint32_t sizes[][2] = {{1, 1}, {7, 3}, {33, 40}};

	(void)state;
	for (size_t i = 0; i < 3 * 8 * sizeof png_kinds / sizeof *png_kinds; i++) {
		size_t kind = i / 24;
		struct png_sample sample = {
			.width = sizes[i % 3][0],
			.height = sizes[i % 3][1],
			.type = png_kinds[kind].type,
			.depth = png_kinds[kind].depth,
			.interlaced = i / 3 % 2,
			.transparent = i / 6 % 2 && !(png_kinds[kind].type & PNG_COLOR_MASK_ALPHA),
		};

		compare_png(&sample, i / 12 % 2);
	}
}

static void png_of_every_small_size_is_what_libpng_gives(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 9 * 9 * 15 * 2; i++)
		compare_png(
			&(struct png_sample){
				.width = 1 + i % 9,
				.height = 1 + i / 9 % 9,
				.type = png_kinds[i / 81 % 15].type,
				.depth = png_kinds[i / 81 % 15].depth,
				.interlaced = i / 81 / 15,
			},
			false);
}

static void no_filter_of_a_png_and_no_remark_changes_its_pixels(void **state)
{
	static const int filters[] = {PNG_FILTER_NONE, PNG_FILTER_SUB, PNG_FILTER_UP,
		PNG_FILTER_AVG, PNG_FILTER_PAETH, PNG_ALL_FILTERS};

	(void)state;
	for (size_t i = 0; i < 6 * 15 * 4; i++)
		compare_png(
			&(struct png_sample){
				.width = 33,
				.height = 40,
				.type = png_kinds[i / 6 % 15].type,
				.depth = png_kinds[i / 6 % 15].depth,
				.interlaced = i / 90 % 2,
				.filters = filters[i % 6],
				.remarks = true,
			},
			i / 180);
}

static void png_channels_are_those_of_the_file(void **state)
{
	static const struct {
		int type;
		bool transparent;
		unsigned channels;
	} kinds[] = {{0, false, 1}, {0, true, 2}, {4, false, 2}, {2, false, 3}, {2, true, 4},
		{6, false, 4}, {3, false, 3}, {3, true, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct png_sample sample = {.width = 5,
			.height = 5,
			.depth = 8,
			.type = kinds[i].type,
			.transparent = kinds[i].transparent};
		struct bytes file = make_png(&sample);
		struct image_info info;

		assert_int_equal(
			image_probe(reader, file.data, file.size, NULL, NULL, &info, NULL), 0);
		assert_int_equal(info.channels, kinds[i].channels);
		assert_int_equal(info.file_channels, kinds[i].channels);
		free(file.data);
	}
}

static void compare_jpeg(const struct jpeg_sample *sample, const char *what)
{
	struct bytes file = make_jpeg(sample);
	struct picture plain = plain_jpeg(file, 1, JCS_UNKNOWN);
	struct outcome got = {0};

	if (decode_picture(reader, file, NULL, NULL, &got))
		fail_msg("%s: %s", what, got.error.text);
	assert_same_picture(&got.picture, &plain, what);
	assert_int_equal(got.info.format, IMAGE_FORMAT_JPEG);
	assert_string_equal(got.warning.text, "");
	free(got.picture.pixels);
	free(plain.pixels);
	free(file.data);
}

static void every_kind_of_jpeg_is_what_libjpeg_gives(void **state)
{
	static const unsigned samplings[][2] = {
		{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {4, 2}, {3, 1}};
	static const J_COLOR_SPACE spaces[][2] = {
		{JCS_RGB, JCS_YCbCr}, {JCS_RGB, JCS_RGB}, {JCS_GRAYSCALE, JCS_GRAYSCALE}};
	static const uint32_t sizes[][2] = {{1, 1}, {19, 37}, {130, 65}};
	char what[100];

	(void)state;
	for (unsigned i = 0; i < 7 * 3 * 3 * 8; i++) {
		const unsigned *sampling = samplings[i % 7];
		const J_COLOR_SPACE *space = spaces[i / 7 % 3];
		const uint32_t *size = sizes[i / 21 % 3];
		unsigned flags = i / 63;
		struct jpeg_sample sample = {.width = size[0],
			.height = size[1],
			.input = space[0],
			.inside = space[1],
			.across = sampling[0],
			.down = sampling[1],
			.restart = flags & 1 ? 3 : 0,
			.progressive = flags & 2,
			.arithmetic = flags & 4};

		snprintf(what, sizeof what, "%ux%u space %d sampling %ux%u flags %u", size[0],
			size[1], space[1], sampling[0], sampling[1], flags);
		compare_jpeg(&sample, what);
	}
}

static void jpeg_of_one_to_many_scans_is_what_libjpeg_gives(void **state)
{
	static const unsigned counts[] = {1, 2, 3, 4, 10, 30, 100, 190};
	char what[100];

	(void)state;
	for (unsigned i = 0; i < 8 * 2 * 2; i++) {
		struct jpeg_sample sample = {.width = 37,
			.height = 53,
			.input = JCS_RGB,
			.inside = JCS_YCbCr,
			.across = 1 + i / 16,
			.down = 1 + i / 16,
			.restart = i % 3,
			.progressive = true,
			.arithmetic = i / 8 % 2,
			.scans = counts[i % 8]};

		snprintf(what, sizeof what, "%u scans", sample.scans);
		compare_jpeg(&sample, what);
		sample.progressive = false;
		compare_jpeg(&sample, "a scan for each component");
	}
}

/* By the formula in image.h, in its plainest form. */
static struct picture cmyk_to_rgb(const struct picture *cmyk)
{
	struct picture rgb = *cmyk;

	rgb.channels = 3;
	rgb.pixels = malloc((size_t)cmyk->width * cmyk->height * 3);
	for (size_t i = 0; i < (size_t)cmyk->width * cmyk->height; i++) {
		const uint8_t *from = cmyk->pixels + 4 * i;

		for (int c = 0; c < 3; c++)
			rgb.pixels[3 * i + c] = (uint8_t)(from[c] * from[3] / 255.0 + 0.5);
	}
	return rgb;
}

static void cmyk_becomes_rgb(void **state)
{
	static const J_COLOR_SPACE insides[] = {JCS_CMYK, JCS_YCCK};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct jpeg_sample sample = {.width = 41,
			.height = 23,
			.input = JCS_CMYK,
			.inside = insides[i % 2],
			.across = i % 2 ? 2 : 1,
			.down = 1,
			.progressive = i / 2};
		struct bytes file = make_jpeg(&sample);
		struct picture cmyk = plain_jpeg(file, 1, JCS_UNKNOWN), rgb = cmyk_to_rgb(&cmyk);
		struct outcome got = {0};

		assert_int_equal(cmyk.channels, 4);
		assert_int_equal(decode_picture(reader, file, NULL, NULL, &got), 0);
		assert_same_picture(&got.picture, &rgb, "cmyk");
		assert_int_equal(got.info.file_channels, 4);
		free(got.picture.pixels);
		free(cmyk.pixels);
		free(rgb.pixels);
		free(file.data);
	}
}

static void formats_are_known_by_content(void **state)
{
	static const struct {
		const char *data;
		size_t size;
		const char *sentence;
	} strangers[] = {
		{"", 0, "the file is empty"},
		{"GIF89a\1\0", 8, "this is a GIF, and only PNG and JPEG are read"},
		{"RIFF\0\0\0\0WEBPVP8 ", 16, "this is a WebP, and only PNG and JPEG are read"},
		{"\x89PNG\r\n\x1a", 7,
			"this is neither PNG nor JPEG: it begins with 89 50 4e 47 0d 0a 1a"},
		{"\xff\xd8", 2, "this is neither PNG nor JPEG: it begins with ff d8"},
		{"<html><body>", 12,
			"this is neither PNG nor JPEG: it begins with 3c 68 74 6d 6c 3e 3c 62"},
		{"\0\xff\xd8\xff\xe0", 5,
			"what looks like a JPEG begins only at byte 1, behind 00"},
		{"HTTP/1.1 200\r\n\r\n\x89PNG\r\n\x1a\n", 24,
			"what looks like a PNG begins only at byte 16, behind 48 54 54 50 2f 31 2e "
			"31"},
	};

	(void)state;
	assert_int_equal(image_sniff("\x89PNG\r\n\x1a\n", 8), IMAGE_FORMAT_PNG);
	assert_int_equal(image_sniff("\xff\xd8\xff", 3), IMAGE_FORMAT_JPEG);
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		struct image_info info;
		struct error err;

		assert_int_equal(
			image_sniff(strangers[i].data, strangers[i].size), IMAGE_FORMAT_UNKNOWN);
		assert_int_equal(image_probe(reader, strangers[i].data, strangers[i].size, NULL,
					 NULL, &info, &err),
			STATUS_BAD_DATA);
		assert_string_equal(err.text, strangers[i].sentence);
	}
}

static void each_decode_needs_its_probe(void **state)
{
	struct png_sample sample = {.width = 4, .height = 4, .depth = 8};
	struct bytes file = make_png(&sample);
	struct image_info info;
	uint8_t pixels[16];

	(void)state;
	assert_int_equal(image_decode(reader, pixels, 16, NULL, NULL), STATUS_INTERNAL);
	assert_int_equal(image_probe(reader, file.data, file.size, NULL, NULL, &info, NULL), 0);
	assert_int_equal(image_decode(reader, pixels, 15, NULL, NULL), STATUS_INTERNAL);
	assert_int_equal(image_decode(reader, pixels, 16, NULL, NULL), STATUS_OK);
	assert_int_equal(image_decode(reader, pixels, 16, NULL, NULL), STATUS_INTERNAL);
	/* a probe that no decode follows leaves nothing behind */
	assert_int_equal(image_probe(reader, file.data, file.size, NULL, NULL, &info, NULL), 0);
	free(file.data);
}

static void what_jpeg_the_library_cannot_decode_says_why(void **state)
{
	struct jpeg_sample sample = {
		.width = 8, .height = 8, .input = JCS_GRAYSCALE, .inside = JCS_GRAYSCALE};
	struct bytes file = make_jpeg(&sample);
	struct image_info info;
	struct error err;
	size_t frame = 2;

	(void)state;
	while (file.data[frame + 1] != 0xc0)
		frame += 2 + ((size_t)file.data[frame + 2] << 8 | file.data[frame + 3]);
	file.data[frame + 4] = 12;
	assert_int_equal(image_probe(reader, file.data, file.size, NULL, NULL, &info, &err),
		STATUS_BAD_DATA);
	assert_string_equal(err.text, "only JPEG of 8 bits a sample can be decoded here: "
				      "Unsupported JPEG data precision 12");
	file.data[frame + 4] = 8;
	file.data[frame + 1] = 0xc3;
	assert_int_equal(image_probe(reader, file.data, file.size, NULL, NULL, &info, &err),
		STATUS_BAD_DATA);
	assert_string_equal(err.text, "lossless and hierarchical JPEG cannot be decoded here: "
				      "Unsupported JPEG process: SOF type 0xc3");
	free(file.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_png_is_what_libpng_gives),
		cmocka_unit_test(png_of_every_small_size_is_what_libpng_gives),
		cmocka_unit_test(no_filter_of_a_png_and_no_remark_changes_its_pixels),
		cmocka_unit_test(png_channels_are_those_of_the_file),
		cmocka_unit_test(every_kind_of_jpeg_is_what_libjpeg_gives),
		cmocka_unit_test(jpeg_of_one_to_many_scans_is_what_libjpeg_gives),
		cmocka_unit_test(cmyk_becomes_rgb),
		cmocka_unit_test(formats_are_known_by_content),
		cmocka_unit_test(each_decode_needs_its_probe),
		cmocka_unit_test(what_jpeg_the_library_cannot_decode_says_why),
	};

	return cmocka_run_group_tests(tests, make_reader, drop_reader);
}
