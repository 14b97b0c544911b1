/* What an asker may want of an image, each against a model written as plainly as can be. */
#include "reader.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static unsigned get(const struct picture *picture, uint32_t x, uint32_t y, unsigned channel)
{
	size_t at = ((size_t)y * picture->width + x) * picture->channels + channel;

	return picture->bits == 16 ? ((uint16_t *)(void *)picture->pixels)[at]
				   : picture->pixels[at];
}

static void put(struct picture *picture, uint32_t x, uint32_t y, unsigned channel, unsigned value)
{
	size_t at = ((size_t)y * picture->width + x) * picture->channels + channel;

	if (picture->bits == 16)
		((uint16_t *)(void *)picture->pixels)[at] = (uint16_t)value;
	else
		picture->pixels[at] = (uint8_t)value;
}

static struct picture blank(uint32_t width, uint32_t height, unsigned channels, unsigned bits)
{
	struct picture picture = {NULL, width, height, channels, bits};

	picture.pixels = calloc((size_t)width * height, channels * bits / 8);
	assert_non_null(picture.pixels);
	return picture;
}

/* Takes `old` away and puts the model's result in its place. */
static void replace(struct picture *old, struct picture new)
{
	free(old->pixels);
	*old = new;
}

/* EXIF: where row 0 and column 0 of the file are seen. */
static void orient(struct picture *picture, unsigned orientation)
{
	uint32_t w = picture->width, h = picture->height;
	bool turned = orientation >= 5;
	struct picture out = blank(
		turned ? h : w, turned ? w : h, picture->channels, picture->bits);

	for (uint32_t y = 0; y < h; y++) {
		for (uint32_t x = 0; x < w; x++) {
			uint32_t xs[] = {x, w - 1 - x, w - 1 - x, x, y, h - 1 - y, h - 1 - y, y};
			uint32_t ys[] = {y, y, h - 1 - y, h - 1 - y, x, x, w - 1 - x, w - 1 - x};

			for (unsigned c = 0; c < picture->channels; c++)
				put(&out, xs[orientation - 1], ys[orientation - 1], c,
					get(picture, x, y, c));
		}
	}
	replace(picture, out);
}

static void shrink(struct picture *picture, unsigned scale)
{
	unsigned n = picture->channels;
	bool alpha = n % 2 == 0;
	struct picture out = blank((picture->width + scale - 1) / scale,
		(picture->height + scale - 1) / scale, n, picture->bits);

	for (size_t i = 0; i < (size_t)out.width * out.height; i++) {
		uint32_t left = (uint32_t)(i % out.width) * scale;
		uint32_t top = (uint32_t)(i / out.width) * scale;
		uint64_t sums[4] = {0}, weights = 0, count = 0;

		for (uint32_t y = top; y < top + scale && y < picture->height; y++) {
			for (uint32_t x = left; x < left + scale && x < picture->width; x++) {
				uint64_t weight = alpha ? get(picture, x, y, n - 1) : 1;

				for (unsigned c = 0; c < n - alpha; c++)
					sums[c] += get(picture, x, y, c) * weight;
				weights += weight;
				count++;
			}
		}
		for (unsigned c = 0; c < n - alpha; c++)
			put(&out, left / scale, top / scale, c,
				weights ? (unsigned)((sums[c] + weights / 2) / weights) : 0);
		if (alpha)
			put(&out, left / scale, top / scale, n - 1,
				(unsigned)((weights + count / 2) / count));
	}
	replace(picture, out);
}

static void premultiply(struct picture *picture)
{
	unsigned n = picture->channels, most = picture->bits == 16 ? 65535 : 255;

	for (uint32_t i = 0; i < picture->width * picture->height; i++) {
		uint32_t x = i % picture->width, y = i / picture->width;
		double alpha = get(picture, x, y, n - 1);

		for (unsigned c = 0; c + 1 < n; c++)
			put(picture, x, y, c,
				(unsigned)(get(picture, x, y, c) * alpha / most + 0.5));
	}
}

static void expect(struct bytes file, const struct image_options *options,
	const struct picture *want, const char *what)
{
	struct outcome got = {0};

	if (decode_picture(reader, file, options, NULL, &got))
		fail_msg("%s: %s", what, got.error.text);
	assert_same_picture(&got.picture, want, what);
	free(got.picture.pixels);
}

/* All kinds of rows: bytes a pixel 1, 2, 3, 4, 6 and 8, plain and interlaced. */
static struct png_sample png_kind(unsigned i)
{
	static const int kinds[][2] = {{0, 8}, {0, 16}, {4, 8}, {2, 8}, {6, 8}, {2, 16}, {6, 16}};
	static const uint32_t sizes[][2] = {{1, 1}, {5, 3}, {21, 50}, {40, 32}};

	return (struct png_sample){.type = kinds[i % 7][0],
		.depth = kinds[i % 7][1],
		.interlaced = i / 7 % 2,
		.width = sizes[i / 14 % 4][0],
		.height = sizes[i / 14 % 4][1]};
}

enum {
	PNG_KINDS = 7 * 2 * 4
};

static void every_orientation_and_scale_of_png_is_right(void **state)
{
	uint8_t exif[EXIF_SIZE];
	char what[100];

	(void)state;
	for (unsigned i = 0; i < PNG_KINDS * 9 * 4; i++) {
		struct png_sample sample = png_kind(i % PNG_KINDS);
		unsigned orientation = i / PNG_KINDS % 9, scale = 1u << i / PNG_KINDS / 9;
		struct image_options options = {
			.flags = IMAGE_NATIVE_DEPTH, .scale = (uint8_t)scale};
		struct bytes file;
		struct picture want;

		if (orientation)
			sample.exif = make_exif(exif, orientation, i % 2);
		file = make_png(&sample);
		want = plain_png(file, true);
		if (scale > 1)
			shrink(&want, scale);
		if (orientation)
			orient(&want, orientation);
		snprintf(what, sizeof what, "kind %u orientation %u scale %u", i % PNG_KINDS,
			orientation, scale);
		expect(file, &options, &want, what);
		free(want.pixels);
		free(file.data);
	}
}

static void every_orientation_and_scale_of_jpeg_is_right(void **state)
{
	static const uint32_t sizes[][2] = {{1, 1}, {19, 45}, {70, 33}};
	uint8_t exif[EXIF_SIZE];
	char what[100];

	(void)state;
	for (unsigned i = 0; i < 9 * 4 * 3 * 2; i++) {
		unsigned orientation = i % 9, scale = 1u << i / 9 % 4;
		bool grey = i / 36 % 2;
		struct jpeg_sample sample = {.width = sizes[i / 72][0],
			.height = sizes[i / 72][1],
			.input = grey ? JCS_GRAYSCALE : JCS_RGB,
			.inside = grey ? JCS_GRAYSCALE : JCS_YCbCr,
			.across = 2,
			.down = 2};
		struct image_options options = {.scale = (uint8_t)scale};
		struct bytes file;
		struct picture want;

		if (orientation)
			sample.exif = make_exif(exif, orientation, i % 2);
		file = make_jpeg(&sample);
		want = plain_jpeg(file, scale, JCS_UNKNOWN);
		if (orientation)
			orient(&want, orientation);
		snprintf(what, sizeof what, "orientation %u scale %u", orientation, scale);
		expect(file, &options, &want, what);
		free(want.pixels);
		free(file.data);
	}
}

static void orientation_can_be_left_alone_and_is_reported(void **state)
{
	uint8_t exif[EXIF_SIZE];
	struct png_sample sample = {
		.width = 5, .height = 3, .depth = 8, .exif = make_exif(exif, 6, true)};
	struct bytes file = make_png(&sample);
	struct picture want = plain_png(file, false);
	struct image_options options = {.flags = IMAGE_KEEP_ORIENTATION};
	struct image_info info;

	(void)state;
	expect(file, &options, &want, "kept");
	assert_int_equal(image_probe(reader, file.data, file.size, &options, NULL, &info, NULL), 0);
	assert_int_equal(info.orientation, 6);
	assert_int_equal(info.width, 5);
	assert_int_equal(image_probe(reader, file.data, file.size, NULL, NULL, &info, NULL), 0);
	assert_int_equal(info.width, 3);
	assert_int_equal(info.file_width, 5);
	free(want.pixels);
	free(file.data);
}

static void fit_takes_the_smallest_scale_that_is_large_enough(void **state)
{
	static const struct {
		uint32_t fit_width, fit_height, scale;
	} rows[] = {{0, 0, 1}, {1, 1, 8}, {100, 50, 8}, {101, 1, 4}, {1, 51, 4}, {200, 100, 4},
		{0, 200, 2}, {400, 0, 2}, {401, 0, 1}, {9000, 9000, 1}};
	uint8_t exif[EXIF_SIZE];
	struct png_sample sample = {.width = 800, .height = 400, .depth = 1};
	struct bytes lying = make_png(&sample), standing;

	(void)state;
	sample.exif = make_exif(exif, 8, false);
	standing = make_png(&sample);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct image_options options = {
			.fit_width = rows[i].fit_width, .fit_height = rows[i].fit_height};
		struct image_info info;

		assert_int_equal(
			image_probe(reader, lying.data, lying.size, &options, NULL, &info, NULL),
			0);
		assert_int_equal(info.scale, rows[i].scale);
		options.fit_width = rows[i].fit_height;
		options.fit_height = rows[i].fit_width;
		assert_int_equal(image_probe(reader, standing.data, standing.size, &options, NULL,
					 &info, NULL),
			0);
		assert_int_equal(info.scale, rows[i].scale);
	}
	free(lying.data);
	free(standing.data);
}

static void jpeg_channels_are_made_by_libjpeg(void **state)
{
	static const struct {
		uint8_t channels, layout;
		J_COLOR_SPACE output;
	} kinds[] = {
		{1, IMAGE_LAYOUT_RGB, JCS_GRAYSCALE},
		{3, IMAGE_LAYOUT_RGB, JCS_RGB},
		{4, IMAGE_LAYOUT_RGB, JCS_EXT_RGBA},
		{1, IMAGE_LAYOUT_BGR, JCS_GRAYSCALE},
		{3, IMAGE_LAYOUT_BGR, JCS_EXT_BGR},
		{4, IMAGE_LAYOUT_BGR, JCS_EXT_BGRA},
	};
	static const J_COLOR_SPACE files[][2] = {
		{JCS_GRAYSCALE, JCS_GRAYSCALE}, {JCS_RGB, JCS_YCbCr}, {JCS_RGB, JCS_RGB}};

	(void)state;
	for (size_t i = 0; i < 3 * 6; i++) {
		struct jpeg_sample sample = {.width = 33,
			.height = 21,
			.input = files[i % 3][0],
			.inside = files[i % 3][1]};
		struct bytes file = make_jpeg(&sample);
		struct picture want = plain_jpeg(file, 1, kinds[i / 3].output);
		struct image_options options = {
			.channels = kinds[i / 3].channels, .layout = kinds[i / 3].layout};

		expect(file, &options, &want, "channels");
		free(want.pixels);
		free(file.data);
	}
}

static void cmyk_has_all_channels_and_layouts(void **state)
{
	struct jpeg_sample sample = {
		.width = 9, .height = 20, .input = JCS_CMYK, .inside = JCS_YCCK};
	struct bytes file = make_jpeg(&sample);
	struct picture rgb = {0}, want;
	struct outcome got;

	(void)state;
	assert_int_equal(decode_picture(reader, file, NULL, NULL, &got), 0);
	rgb = got.picture;
	for (unsigned i = 0; i < 4; i++) {
		struct image_options options = {.channels = i < 2    ? 4
							    : i == 2 ? 3
								     : 1,
			.layout = i == 0 ? IMAGE_LAYOUT_RGB : IMAGE_LAYOUT_BGR};
		bool bgr = options.layout == IMAGE_LAYOUT_BGR;

		want = blank(rgb.width, rgb.height, options.channels, 8);
		for (uint32_t p = 0; p < rgb.width * rgb.height; p++) {
			const uint8_t *from = rgb.pixels + (size_t)3 * p;
			uint8_t *to = want.pixels + (size_t)options.channels * p;

			if (options.channels == 1) {
				*to = (uint8_t)(0.299 * from[0] + 0.587 * from[1] +
						0.114 * from[2] + 0.5);
				continue;
			}
			for (int c = 0; c < 3; c++)
				to[c] = from[bgr ? 2 - c : c];
			if (options.channels == 4)
				to[3] = 255;
		}
		expect(file, &options, &want, "cmyk");
		free(want.pixels);
	}
	free(rgb.pixels);
	free(file.data);
}

/* One pixel of the model: from any kind to grey, RGB or RGBA. */
static void model_channels(const struct picture *from, struct picture *to, bool bgr)
{
	for (uint32_t i = 0; i < to->width * to->height; i++) {
		uint32_t x = i % to->width, y = i / to->width;
		bool grey = from->channels <= 2, alpha = from->channels % 2 == 0;
		unsigned most = from->bits == 16 ? 65535 : 255;

		for (unsigned c = 0; c < 3 && c < to->channels; c++)
			put(to, x, y, bgr && to->channels > 1 ? 2 - c : c,
				get(from, x, y, grey ? 0 : c));
		if (to->channels == 4)
			put(to, x, y, 3, alpha ? get(from, x, y, from->channels - 1) : most);
	}
}

static void png_channels_are_copied_dropped_or_filled(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PNG_KINDS * 3 * 2; i++) {
		static const uint8_t channels[] = {1, 3, 4};
		struct png_sample sample = png_kind(i % PNG_KINDS);
		struct image_options options = {.flags = IMAGE_NATIVE_DEPTH,
			.channels = channels[i / PNG_KINDS % 3],
			.layout = (uint8_t)(i / PNG_KINDS / 3)};
		struct bytes file = make_png(&sample);
		struct picture plain = plain_png(file, true);
		struct picture want = blank(
			plain.width, plain.height, options.channels, plain.bits);

		if (options.channels > 1 || plain.channels <= 2) {
			model_channels(&plain, &want, options.layout == IMAGE_LAYOUT_BGR);
			expect(file, &options, &want, "png channels");
		}
		free(want.pixels);
		free(plain.pixels);
		free(file.data);
	}
}

static void png_grey_is_the_luma_of_a_jpeg(void **state)
{
	struct png_sample sample = {.width = 30, .height = 30, .depth = 8, .type = 6};
	struct bytes file = make_png(&sample);
	struct picture plain = plain_png(file, false);
	struct image_options options = {.channels = 1};
	struct outcome got = {0};

	(void)state;
	assert_int_equal(decode_picture(reader, file, &options, NULL, &got), 0);
	for (size_t i = 0; i < 900; i++) {
		const uint8_t *rgb = plain.pixels + 4 * i;
		double luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];

		assert_int_equal(got.picture.pixels[i], (int)(luma + 0.5));
	}
	free(got.picture.pixels);
	free(plain.pixels);
	free(file.data);
}

static void premultiplied_pixels_are_rounded_products(void **state)
{
	uint8_t exif[EXIF_SIZE];

	(void)state;
	for (unsigned i = 0; i < PNG_KINDS * 2; i++) {
		struct png_sample sample = png_kind(i % PNG_KINDS);
		struct image_options options = {.flags = IMAGE_NATIVE_DEPTH | IMAGE_PREMULTIPLY};
		struct bytes file;
		struct picture want;

		if (i / PNG_KINDS)
			sample.exif = make_exif(exif, 7, true);
		file = make_png(&sample);
		want = plain_png(file, true);
		if (want.channels % 2 == 0)
			premultiply(&want);
		if (i / PNG_KINDS)
			orient(&want, 7);
		expect(file, &options, &want, "premultiplied");
		free(want.pixels);
		free(file.data);
	}
}

static void profiles_come_beside_the_pixels(void **state)
{
	uint8_t buffer[ICC_SIZE];
	struct png_sample png = {.width = 5, .height = 3, .depth = 8, .type = 2};
	struct jpeg_sample jpeg = {.width = 5, .height = 3, .input = JCS_RGB, .inside = JCS_YCbCr};

	(void)state;
	png.icc = jpeg.icc = make_icc(buffer, "RGB ");
	for (unsigned i = 0; i < 4; i++) {
		struct bytes file = i % 2 ? make_png(&png) : make_jpeg(&jpeg);
		struct image_options options = {.channels = i / 2 ? 1 : 0};
		struct outcome got = {0};
		const void *profile;
		size_t size;

		assert_int_equal(decode_picture(reader, file, &options, NULL, &got), 0);
		profile = image_profile(reader, &size);
		if (options.channels == 1) {
			assert_null(profile);
			assert_int_equal(got.info.icc_bytes, 0);
			assert_non_null(strstr(got.warning.text, "profile is left out"));
		} else {
			assert_int_equal(size, ICC_SIZE);
			assert_int_equal(got.info.icc_bytes, ICC_SIZE);
			assert_memory_equal(profile, buffer, ICC_SIZE);
			assert_string_equal(got.warning.text, "");
		}
		free(got.picture.pixels);
		free(file.data);
	}
}

static void gamma_comments_and_animation_are_reported(void **state)
{
	static const uint8_t actl[8] = {0, 0, 0, 2};
	static const uint8_t chrm[32] = {0, 0, 0x7a, 0x26, 0, 0, 0x80, 0x84, 0, 0, 0xfa, 0, 0, 0,
		0x80, 0xe8, 0, 0, 0x75, 0x30, 0, 0, 0xea, 0x60, 0, 0, 0x3a, 0x98, 0, 0, 0x17, 0x70};
	struct png_sample png = {
		.width = 5, .height = 3, .depth = 8, .gamma = 0.45455, .comments = 3};
	struct jpeg_sample jpeg = {
		.width = 5, .height = 3, .input = JCS_RGB, .inside = JCS_YCbCr, .comments = 2};
	struct bytes file = make_png(&png);
	struct outcome got = {0};

	(void)state;
	insert_chunk(&file, "acTL", actl, sizeof actl);
	insert_chunk(&file, "cHRM", chrm, sizeof chrm);
	assert_int_equal(decode_picture(reader, file, NULL, NULL, &got), 0);
	assert_int_equal(got.info.gamma, 45455);
	assert_int_equal(got.info.chromaticities[0], 31270);
	assert_int_equal(got.info.chromaticities[7], 6000);
	assert_int_equal(got.info.comments, 3);
	assert_true(got.info.animated);
	free(got.picture.pixels);
	free(file.data);
	file = make_jpeg(&jpeg);
	assert_int_equal(decode_picture(reader, file, NULL, NULL, &got), 0);
	assert_int_equal(got.info.comments, 2);
	free(got.picture.pixels);
	free(file.data);
}

static void a_truncated_png_is_an_error_unless_lenient(void **state)
{
	uint8_t exif[EXIF_SIZE];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct png_sample sample = {
			.width = 64, .height = 64, .depth = 8, .type = 2, .interlaced = i % 2};
		struct image_options options = {.flags = IMAGE_LENIENT};
		struct outcome got = {0};
		struct bytes file;
		struct picture whole;

		if (i / 2)
			sample.exif = make_exif(exif, 6, true);
		file = make_png(&sample);
		whole = plain_png(file, false);
		if (i / 2)
			orient(&whole, 6);
		file.size -= file.size / 3;
		assert_int_equal(decode_picture(reader, file, NULL, NULL, &got), STATUS_BAD_DATA);
		assert_string_equal(got.error.text, "broken PNG: the file ends too early");
		assert_int_equal(decode_picture(reader, file, &options, NULL, &got), STATUS_OK);
		assert_string_equal(got.warning.text, "broken PNG: the file ends too early");
		/* the first pixel of the file is there, the last is missing and zero */
		for (unsigned c = 0; c < 3; c++) {
			uint32_t x = i / 2 ? 63 : 0;

			assert_int_equal(get(&got.picture, x, 0, c), get(&whole, x, 0, c));
			if (!sample.interlaced)
				assert_int_equal(get(&got.picture, 63 - x, 63, c), 0);
		}
		free(got.picture.pixels);
		free(whole.pixels);
		free(file.data);
	}
}

static void a_truncated_jpeg_is_a_warning_unless_strict(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct jpeg_sample sample = {.width = 64,
			.height = 64,
			.input = JCS_RGB,
			.inside = JCS_YCbCr,
			.progressive = i % 2,
			.arithmetic = i / 2};
		struct image_options options = {.flags = IMAGE_STRICT};
		struct bytes file = make_jpeg(&sample);
		struct picture plain;
		struct outcome got = {0};

		assert_int_equal(decode_picture(reader, file, &options, NULL, &got), STATUS_OK);
		free(got.picture.pixels);
		file.size -= file.size / 3;
		assert_int_equal(decode_picture(reader, file, NULL, NULL, &got), STATUS_OK);
		assert_string_equal(got.warning.text, "Premature end of JPEG file");
		plain = plain_jpeg(file, 1, JCS_UNKNOWN);
		assert_same_picture(&got.picture, &plain, "truncated");
		assert_int_equal(
			decode_picture(reader, file, &options, NULL, &got), STATUS_BAD_DATA);
		assert_string_equal(got.error.text, "broken JPEG: Premature end of JPEG file");
		free(got.picture.pixels);
		free(plain.pixels);
		free(file.data);
	}
}

static void options_without_sense_are_refused(void **state)
{
	static const struct image_options bad[] = {{.scale = 3}, {.scale = 16}, {.channels = 2},
		{.channels = 5}, {.layout = 2}, {.flags = IMAGE_STRICT | IMAGE_LENIENT}};
	struct png_sample sample = {.width = 5, .height = 3, .depth = 8};
	struct bytes file = make_png(&sample);
	struct image_info info;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(
			image_probe(reader, file.data, file.size, &bad[i], NULL, &info, NULL),
			STATUS_USAGE);
	free(file.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_orientation_and_scale_of_png_is_right),
		cmocka_unit_test(every_orientation_and_scale_of_jpeg_is_right),
		cmocka_unit_test(orientation_can_be_left_alone_and_is_reported),
		cmocka_unit_test(fit_takes_the_smallest_scale_that_is_large_enough),
		cmocka_unit_test(jpeg_channels_are_made_by_libjpeg),
		cmocka_unit_test(cmyk_has_all_channels_and_layouts),
		cmocka_unit_test(png_channels_are_copied_dropped_or_filled),
		cmocka_unit_test(png_grey_is_the_luma_of_a_jpeg),
		cmocka_unit_test(premultiplied_pixels_are_rounded_products),
		cmocka_unit_test(profiles_come_beside_the_pixels),
		cmocka_unit_test(gamma_comments_and_animation_are_reported),
		cmocka_unit_test(a_truncated_png_is_an_error_unless_lenient),
		cmocka_unit_test(a_truncated_jpeg_is_a_warning_unless_strict),
		cmocka_unit_test(options_without_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, make_reader, drop_reader);
}
