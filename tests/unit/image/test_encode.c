/* What is written is read back by the libraries used plainly, or is there byte for byte. */
#include "image_samples.h"
#include "test.h"

#include "image/encode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct encode_image sample(unsigned channels, unsigned bits)
{
	static uint16_t pixels[13 * 7 * 4];

	for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
		pixels[i] = (uint16_t)(i * 977 + 0x1234);
	return (struct encode_image){.pixels = pixels,
		.width = 13,
		.height = 7,
		.channels = (uint8_t)channels,
		.bits = (uint8_t)bits};
}

static struct bytes write_image(enum encode_format format, const struct encode_image *image,
	const struct encode_options *options)
{
	char *data = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&data, &size);
	struct error err = {0};

	assert_non_null(file);
	if (encode_write(file, format, image, options, &err))
		fail_msg("%s", err.text);
	assert_int_equal(fclose(file), 0);
	return (struct bytes){(uint8_t *)data, size};
}

static void png_holds_every_kind(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct encode_image image = sample(i % 4 + 1, i < 4 ? 8 : 16);
		struct bytes file = write_image(ENCODE_PNG, &image, NULL);
		struct picture got = plain_png(file, true);
		struct picture want = {(uint8_t *)(uintptr_t)image.pixels, image.width,
			image.height, image.channels, image.bits};

		assert_same_picture(&got, &want, "png");
		free(got.pixels);
		free(file.data);
	}
}

static void jpeg_is_near_and_quality_counts(void **state)
{
	uint8_t grey[64 * 64];
	struct encode_image image = {
		.pixels = grey, .width = 64, .height = 64, .channels = 1, .bits = 8};
	size_t last = 0;

	(void)state;
	for (int i = 0; i < 64 * 64; i++)
		grey[i] = (uint8_t)(i % 64 * 3 + i / 64);
	for (int quality = 20; quality <= 100; quality += 80) {
		struct encode_options options = {.quality = quality};
		struct bytes file = write_image(ENCODE_JPEG, &image, &options);
		struct picture got = plain_jpeg(file, 1, JCS_UNKNOWN);

		assert_int_equal(got.channels, 1);
		for (int i = 0; i < 64 * 64; i++)
			assert_in_range(abs(got.pixels[i] - grey[i]), 0, 20);
		assert_true(file.size > last);
		last = file.size;
		free(got.pixels);
		free(file.data);
	}
}

static void jpeg_refuses_what_it_cannot_hold(void **state)
{
	static const struct {
		unsigned channels, bits;
		const char *sentence;
	} kinds[] = {
		{2, 8, "JPEG cannot hold alpha; ask for grey, or write png or pnm"},
		{4, 8, "JPEG cannot hold alpha; ask for RGB, or write png or pnm"},
		{3, 16, "JPEG cannot hold 16-bit samples; ask for 8 bits, or write png or pnm"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct encode_image image = sample(kinds[i].channels, kinds[i].bits);
		struct error err;

		assert_int_equal(
			encode_write(stdout, ENCODE_JPEG, &image, NULL, &err), STATUS_USAGE);
		assert_string_equal(err.text, kinds[i].sentence);
	}
}

static void pnm_is_written_to_the_letter(void **state)
{
	static const char *const headers[] = {
		"P5\n13 7\n255\n",
		"P7\nWIDTH 13\nHEIGHT 7\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n",
		"P6\n13 7\n255\n",
		"P7\nWIDTH 13\nHEIGHT 7\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
	};

	(void)state;
	for (unsigned channels = 1; channels <= 4; channels++) {
		struct encode_image image = sample(channels, 8);
		struct bytes file = write_image(ENCODE_PNM, &image, NULL);
		size_t header = strlen(headers[channels - 1]);

		assert_int_equal(file.size, header + 13 * 7 * channels);
		assert_memory_equal(file.data, headers[channels - 1], header);
		assert_memory_equal(file.data + header, image.pixels, 13 * 7 * channels);
		free(file.data);
	}
}

static void pnm_of_16_bits_has_the_high_byte_first(void **state)
{
	struct encode_image image = sample(3, 16);
	struct bytes file = write_image(ENCODE_PNM, &image, NULL);
	const uint16_t *want = image.pixels;
	const uint8_t *got = file.data + strlen("P6\n13 7\n65535\n");

	(void)state;
	assert_memory_equal(file.data, "P6\n13 7\n65535\n", 14);
	for (int i = 0; i < 13 * 7 * 3; i++)
		assert_int_equal(got[2 * i] << 8 | got[2 * i + 1], want[i]);
	free(file.data);
}

static void raw_is_the_samples(void **state)
{
	struct encode_image image = sample(4, 16);
	struct bytes file = write_image(ENCODE_RAW, &image, NULL);

	(void)state;
	assert_int_equal(file.size, 13 * 7 * 4 * 2);
	assert_memory_equal(file.data, image.pixels, file.size);
	free(file.data);
}

/* A decoder by the specification, for what this encoder may write. Returns where the pixels end. */
static const uint8_t *decode_qoi(const uint8_t *at, size_t count, unsigned channels, uint8_t *to)
{
	uint8_t seen[64][4] = {{0}}, now[4] = {0, 0, 0, 255};
	unsigned run = 0;

	for (size_t i = 0; i < count; i++, to += channels) {
		unsigned op = run ? 0 : *at++, green = (op & 63) - 32;

		if (run) {
			run--;
		} else if (op == 0xff || op == 0xfe) {
			memcpy(now, at, op == 0xff ? 4 : 3);
			at += op == 0xff ? 4 : 3;
		} else if (op >> 6 == 0) {
			memcpy(now, seen[op], 4);
		} else if (op >> 6 == 1) {
			for (int sample = 0; sample < 3; sample++)
				now[sample] += (uint8_t)((op >> (4 - 2 * sample) & 3) - 2);
		} else if (op >> 6 == 2) {
			now[0] += (uint8_t)(green - 8 + (*at >> 4));
			now[1] += (uint8_t)green;
			now[2] += (uint8_t)(green - 8 + (*at++ & 15));
		} else {
			run = op & 63;
		}
		memcpy(seen[(now[0] * 3 + now[1] * 5 + now[2] * 7 + now[3] * 11) % 64], now, 4);
		memcpy(to, now, channels);
	}
	return at;
}

static void qoi_is_read_back_by_its_specification(void **state)
{
	static const uint8_t steps[] = {0, 1, 255, 0, 7, 30, 0, 0, 100, 254};
	uint8_t pixels[100 * 40 * 4], back[sizeof pixels];

	(void)state;
	/* Small and large steps, colours that come again, and runs, also at the end. */
	for (size_t i = 0; i < sizeof pixels; i++)
		pixels[i] = (uint8_t)(i < 4 ? 0
				      : i > sizeof pixels / 2
					      ? 77
					      : pixels[i - 4] + steps[(i / 9 + i * i / 64) % 10]);
	for (unsigned channels = 3; channels <= 4; channels++) {
		struct encode_image image = {.pixels = pixels,
			.width = 100,
			.height = 40,
			.channels = (uint8_t)channels,
			.bits = 8};
		const uint8_t head[] = {
			'q', 'o', 'i', 'f', 0, 0, 0, 100, 0, 0, 0, 40, (uint8_t)channels, 0};
		struct bytes file = write_image(ENCODE_QOI, &image, NULL);

		assert_memory_equal(file.data, head, sizeof head);
		assert_ptr_equal(decode_qoi(file.data + sizeof head, 4000, channels, back),
			file.data + file.size - 8);
		assert_memory_equal(back, pixels, (size_t)4000 * channels);
		assert_memory_equal(file.data + file.size - 8, "\0\0\0\0\0\0\0\1", 8);
		free(file.data);
	}
}

static void qoi_refuses_what_it_cannot_hold(void **state)
{
	struct encode_image grey = sample(1, 8), deep = sample(3, 16);
	struct error err;

	(void)state;
	assert_int_equal(encode_write(stdout, ENCODE_QOI, &grey, NULL, &err), STATUS_USAGE);
	assert_non_null(strstr(err.text, "grey"));
	assert_int_equal(encode_write(stdout, ENCODE_QOI, &deep, NULL, &err), STATUS_USAGE);
	assert_non_null(strstr(err.text, "16-bit"));
}

static void profiles_are_kept(void **state)
{
	static const enum encode_format formats[] = {ENCODE_PNG, ENCODE_JPEG};
	uint8_t buffer[ICC_SIZE];
	struct bytes icc = make_icc(buffer, "RGB ");
	struct image_reader *reader;

	(void)state;
	assert_int_equal(image_reader_new(&reader, NULL), 0);
	for (size_t i = 0; i < 2; i++) {
		struct encode_image image = sample(3, 8);
		struct bytes file;
		struct outcome got;
		const void *profile;
		size_t size;

		image.icc = icc.data;
		image.icc_bytes = icc.size;
		file = write_image(formats[i], &image, NULL);
		assert_int_equal(decode_picture(reader, file, NULL, NULL, &got), 0);
		profile = image_profile(reader, &size);
		assert_int_equal(size, icc.size);
		assert_memory_equal(profile, icc.data, size);
		free(got.picture.pixels);
		free(file.data);
	}
	image_reader_free(reader);
}

/* Finds a chunk of a PNG before its pixels; its data, NULL if there is none. */
static const uint8_t *chunk_data(struct bytes file, const char *type)
{
	for (size_t at = 8; at + 12 <= file.size;) {
		const uint8_t *chunk = file.data + at;

		if (memcmp(chunk + 4, type, 4) == 0)
			return chunk + 8;
		at += 12 + ((size_t)chunk[2] << 8 | chunk[3]);
	}
	return NULL;
}

static void png_keeps_what_is_said_of_colours(void **state)
{
	static const uint8_t gamma[] = {0, 1, 0x86, 0xa0};
	static const uint8_t points[] = {0, 0, 0x7a, 0x26, 0, 0, 0x80, 0x84, 0, 0, 0xfa, 0, 0, 0,
		0x80, 0xe8, 0, 0, 0x75, 0x30, 0, 0, 0xea, 0x60, 0, 0, 0x3a, 0x98, 0, 0, 0x17, 0x70};
	static const struct encode_image plain = {.gamma = 0};
	static const struct encode_image linear = {.gamma = 100000};
	static const struct encode_image named = {
		.chromaticities = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000}};
	static const struct encode_image *const said[] = {&plain, &linear, &named};

	(void)state;
	for (unsigned i = 0; i < 3 * 8; i++) {
		struct encode_image image = sample(i / 3 % 4 + 1, i / 12 ? 16 : 8);
		struct bytes file;

		image.gamma = said[i % 3]->gamma;
		memcpy(image.chromaticities, said[i % 3]->chromaticities,
			sizeof image.chromaticities);
		file = write_image(ENCODE_PNG, &image, NULL);
		assert_int_equal(!!chunk_data(file, "gAMA"), i % 3 == 1);
		assert_int_equal(!!chunk_data(file, "cHRM"), i % 3 == 2);
		assert_null(chunk_data(file, "sRGB"));
		assert_null(chunk_data(file, "iCCP"));
		if (i % 3 == 1)
			assert_memory_equal(chunk_data(file, "gAMA"), gamma, sizeof gamma);
		if (i % 3 == 2)
			assert_memory_equal(chunk_data(file, "cHRM"), points, sizeof points);
		free(file.data);
	}
	for (unsigned intent = 0; intent < 4; intent++) {
		struct encode_image image = sample(3, 8);
		struct bytes file;

		image.srgb = (uint8_t)(intent + 1);
		file = write_image(ENCODE_PNG, &image, NULL);
		assert_int_equal(*chunk_data(file, "sRGB"), intent);
		free(file.data);
	}
}

/* Numbers that come from another program: what libpng does not believe is left out. */
static void nonsense_about_colours_is_left_out(void **state)
{
	struct encode_image image = sample(3, 8);
	struct bytes file;

	(void)state;
	image.gamma = UINT32_MAX;
	image.srgb = 99;
	for (int i = 0; i < 8; i++)
		image.chromaticities[i] = i % 2 ? INT32_MIN : INT32_MAX;
	file = write_image(ENCODE_PNG, &image, NULL);
	assert_null(chunk_data(file, "gAMA"));
	assert_null(chunk_data(file, "cHRM"));
	assert_null(chunk_data(file, "sRGB"));
	free(file.data);
}

static void a_full_disk_is_an_error(void **state)
{
	static uint8_t pixels[400 * 400 * 3];
	struct encode_image image = {
		.pixels = pixels, .width = 400, .height = 400, .channels = 3, .bits = 8};

	(void)state;
	for (size_t i = 0; i < sizeof pixels; i++)
		pixels[i] = (uint8_t)(i * i >> 3 ^ i);
	for (int format = ENCODE_PNG; format <= ENCODE_QOI; format++) {
		FILE *file = fopen("/dev/full", "w");
		struct error err = {0};

		assert_non_null(file);
		setvbuf(file, NULL, _IONBF, 0);
		assert_int_equal(encode_write(file, (enum encode_format)format, &image, NULL, &err),
			STATUS_IO);
		assert_int_equal(err.os_error, ENOSPC);
		assert_string_equal(err.text, "cannot write the image: No space left on device");
		fclose(file);
	}
}

static void names_and_extensions_agree(void **state)
{
	static const char *const names[] = {
		"png", "JPG", "jpeg", "pnm", "PGM", "ppm", "pam", "raw", "qoi"};
	static const int formats[] = {ENCODE_PNG, ENCODE_JPEG, ENCODE_JPEG, ENCODE_PNM, ENCODE_PNM,
		ENCODE_PNM, ENCODE_PNM, ENCODE_RAW, ENCODE_QOI};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(encode_format_of(names[i]), formats[i]);
	assert_int_equal(encode_format_of("gif"), -1);
	assert_int_equal(encode_format_of(""), -1);
	for (unsigned channels = 1; channels <= 4; channels++) {
		for (int format = ENCODE_PNG; format <= ENCODE_QOI; format++) {
			const char *extension = encode_extension(
				(enum encode_format)format, channels);

			assert_int_equal(extension[0], '.');
			assert_int_equal(encode_format_of(extension + 1), format);
		}
	}
}

static void nonsense_is_refused(void **state)
{
	struct encode_image image = sample(3, 8);
	struct encode_options options = {.quality = 101};

	(void)state;
	assert_int_equal(encode_write(stdout, ENCODE_JPEG, &image, &options, NULL), STATUS_USAGE);
	image.channels = 5;
	assert_int_equal(encode_write(stdout, ENCODE_PNG, &image, NULL, NULL), STATUS_USAGE);
	image.channels = 3;
	image.width = 0;
	assert_int_equal(encode_write(stdout, ENCODE_RAW, &image, NULL, NULL), STATUS_USAGE);
	image.width = 13;
	image.bits = 12;
	assert_int_equal(encode_write(stdout, ENCODE_PNM, &image, NULL, NULL), STATUS_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(png_holds_every_kind),
		cmocka_unit_test(jpeg_is_near_and_quality_counts),
		cmocka_unit_test(jpeg_refuses_what_it_cannot_hold),
		cmocka_unit_test(pnm_is_written_to_the_letter),
		cmocka_unit_test(pnm_of_16_bits_has_the_high_byte_first),
		cmocka_unit_test(raw_is_the_samples),
		cmocka_unit_test(qoi_is_read_back_by_its_specification),
		cmocka_unit_test(qoi_refuses_what_it_cannot_hold),
		cmocka_unit_test(profiles_are_kept),
		cmocka_unit_test(png_keeps_what_is_said_of_colours),
		cmocka_unit_test(nonsense_about_colours_is_left_out),
		cmocka_unit_test(a_full_disk_is_an_error),
		cmocka_unit_test(names_and_extensions_agree),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
