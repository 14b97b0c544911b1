/* Broken files and files that ask for too much: an error in one sentence or pixels, and the reader
 * is as good as new afterwards. */
#include "reader.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

/* The pixels do not matter, the manner does. */
static void expect_error_or_pixels(struct bytes file, const struct image_options *options)
{
	struct outcome got = {0};
	uint8_t *copy = malloc(file.size ? file.size : 1);
	struct bytes exact = {copy, file.size};

	/* the sanitizer sees a read past the end of memory of just that size */
	memcpy(copy, file.data, file.size);
	if (decode_picture(reader, exact, options, &usual_limits, &got) == STATUS_OK) {
		free(got.picture.pixels);
	} else {
		assert_int_equal(got.error.status, STATUS_BAD_DATA);
		assert_true(strlen(got.error.text) > 10);
	}
	free(copy);
}

/* Small files with everything in them. */
static struct bytes candidate(unsigned i)
{
	static uint8_t exif[EXIF_SIZE], icc[ICC_SIZE];
	struct png_sample png = {.width = 9,
		.height = 9,
		.type = 3,
		.depth = 4,
		.interlaced = i == 1,
		.transparent = true,
		.comments = 1,
		.gamma = 0.5,
		.exif = make_exif(exif, 6, true)};
	struct jpeg_sample jpeg = {.width = 17,
		.height = 17,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.across = 2,
		.down = 2,
		.restart = 1,
		.progressive = i == 3,
		.arithmetic = i == 4,
		.comments = 1,
		.exif = make_exif(exif, 6, false)};

	if (i == 2)
		png = (struct png_sample){.width = 5,
			.height = 5,
			.type = 2,
			.depth = 16,
			.icc = make_icc(icc, "RGB ")};
	if (i == 5)
		jpeg = (struct jpeg_sample){.width = 9,
			.height = 9,
			.input = JCS_CMYK,
			.inside = JCS_YCCK,
			.icc = make_icc(icc, "CMYK")};
	return i < 3 ? make_png(&png) : make_jpeg(&jpeg);
}

enum {
	EVICTIONS = 6
};

static const struct image_options manners[] = {
	{0},
	{.scale = 2, .channels = 4, .flags = IMAGE_LENIENT | IMAGE_PREMULTIPLY},
	{.channels = 1, .flags = IMAGE_STRICT | IMAGE_NATIVE_DEPTH},
};

static void every_truncation_gives_an_error_or_pixels(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EVICTIONS; i++) {
		struct bytes file = candidate(i);

		for (struct bytes part = {file.data, 0}; part.size < file.size; part.size++) {
			for (size_t manner = 0; manner < 3; manner++)
				expect_error_or_pixels(part, &manners[manner]);
		}
		free(file.data);
	}
}

static void every_flipped_bit_gives_an_error_or_pixels(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EVICTIONS; i++) {
		struct bytes file = candidate(i);

		for (size_t bit = 0; bit < 8 * file.size; bit++) {
			file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			expect_error_or_pixels(file, &manners[bit % 3]);
			file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		free(file.data);
	}
}

/* Flips that libpng would stop at the CRC, with the CRC put right again. */
static void every_flipped_bit_with_a_right_checksum_gives_an_error_or_pixels(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bytes file = candidate(i);
		size_t at = 8;

		while (at + 12 <= file.size) {
			uint8_t *chunk = file.data + at;
			size_t size = (size_t)chunk[2] << 8 | chunk[3];

			for (size_t bit = 0; bit < 8 * (size + 4); bit++) {
				uint8_t *byte = chunk + 4 + bit / 8, kept[4];
				uint32_t crc;

				memcpy(kept, chunk + 8 + size, 4);
				*byte ^= (uint8_t)(1u << bit % 8);
				crc = (uint32_t)crc32(0, chunk + 4, (uInt)size + 4);
				for (int k = 0; k < 4; k++)
					chunk[8 + size + k] = (uint8_t)(crc >> (24 - 8 * k));
				expect_error_or_pixels(file, &manners[bit % 3]);
				*byte ^= (uint8_t)(1u << bit % 8);
				memcpy(chunk + 8 + size, kept, 4);
			}
			at += 12 + size;
		}
		free(file.data);
	}
}

static void a_reader_is_good_after_errors(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EVICTIONS; i++) {
		struct bytes file = candidate(i);
		struct outcome before = {0}, after = {0};

		assert_int_equal(decode_picture(reader, file, NULL, &usual_limits, &before), 0);
		for (size_t cut = 1; cut < file.size; cut += 7) {
			struct bytes part = {file.data, file.size - cut};

			expect_error_or_pixels(part, NULL);
		}
		assert_int_equal(decode_picture(reader, file, NULL, &usual_limits, &after), 0);
		assert_same_picture(&before.picture, &after.picture, "after errors");
		free(before.picture.pixels);
		free(after.picture.pixels);
		free(file.data);
	}
}

/* A decompressor that is used again would take the tables of the image before. */
static void a_jpeg_without_tables_does_not_get_those_of_another(void **state)
{
	struct jpeg_sample jpeg = {
		.width = 8, .height = 8, .input = JCS_GRAYSCALE, .inside = JCS_GRAYSCALE};
	struct bytes file = make_jpeg(&jpeg);
	struct outcome got = {0};
	size_t table = 2;

	(void)state;
	assert_int_equal(decode_picture(reader, file, NULL, &usual_limits, &got), STATUS_OK);
	free(got.picture.pixels);
	while (file.data[table + 1] != 0xdb)
		table += 2 + ((size_t)file.data[table + 2] << 8 | file.data[table + 3]);
	file.data[table + 1] = 0xec;
	assert_int_equal(decode_picture(reader, file, NULL, &usual_limits, &got), STATUS_BAD_DATA);
	assert_string_equal(got.error.text, "broken JPEG: Quantization table 0x00 was not defined");
	free(file.data);
}

static void refuse(struct bytes file, const struct image_options *options,
	const struct image_limits *limits, const char *sentence)
{
	struct outcome got = {0};

	assert_int_equal(decode_picture(reader, file, options, limits, &got), STATUS_BAD_DATA);
	assert_string_equal(got.error.text, sentence);
}

static void put_be32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void floods_of_pixels_are_refused(void **state)
{
	struct png_sample png = {.width = 1, .height = 1, .depth = 8};
	struct jpeg_sample jpeg = {
		.width = 8, .height = 8, .input = JCS_GRAYSCALE, .inside = JCS_GRAYSCALE};
	struct bytes file = make_png(&png);
	struct image_limits limits = usual_limits;
	size_t frame = 2;

	(void)state;
	put_be32(file.data + 16, 40000);
	put_be32(file.data + 20, 40000);
	refuse(file, NULL, &limits,
		"40000×40000 is over the limit of 100 megapixels (serve --max-pixels)");
	limits.pixels = 2500000;
	refuse(file, NULL, &limits,
		"40000×40000 is over the limit of 2.5 megapixels (serve --max-pixels)");
	put_be32(file.data + 16, 1);
	put_be32(file.data + 20, 70000);
	refuse(file, NULL, &limits,
		"1×70000 is over the limit of 65535 pixels a side (serve --max-side)");
	put_be32(file.data + 16, 0x7fffffff);
	put_be32(file.data + 20, 0x7fffffff);
	refuse(file, NULL, &usual_limits,
		"2147483647×2147483647 is over the limit of 65535 pixels a side (serve "
		"--max-side)");
	free(file.data);

	file = make_jpeg(&jpeg);
	while (file.data[frame + 1] != 0xc0)
		frame += 2 + ((size_t)file.data[frame + 2] << 8 | file.data[frame + 3]);
	memcpy(file.data + frame + 5, "\xff\xdc\xff\xdc", 4);
	refuse(file, NULL, &usual_limits,
		"65500×65500 is over the limit of 100 megapixels (serve --max-pixels)");
	free(file.data);
}

static void too_many_decoded_bytes_are_refused(void **state)
{
	struct png_sample png = {.width = 1000, .height = 100, .depth = 16, .type = 6};
	struct bytes file = make_png(&png);
	struct image_limits limits = {.bytes = 390 << 10};
	struct image_options options = {.flags = IMAGE_NATIVE_DEPTH};
	struct outcome got;

	(void)state;
	refuse(file, NULL, &limits,
		"1000×100 is 391K of pixels, over the limit of 390K (serve --max-bytes)");
	refuse(file, &options, &limits,
		"1000×100 is 781K of pixels, over the limit of 390K (serve --max-bytes)");
	options.scale = 2;
	assert_int_equal(decode_picture(reader, file, &options, &limits, &got), STATUS_OK);
	free(got.picture.pixels);
	free(file.data);
}

static void too_many_chunks_are_refused(void **state)
{
	struct png_sample png = {.width = 8, .height = 8, .depth = 8, .private_chunks = 1001};
	struct bytes file = make_png(&png);

	(void)state;
	refuse(file, NULL, &usual_limits,
		"more ancillary chunks than the limit of 1000 (serve --max-chunks)");
	free(file.data);
}

/* `size` zero bytes, deflated after `head`. */
static struct bytes bomb(const void *head, size_t head_size, size_t size)
{
	uint8_t *zeros = calloc(1, size);
	uLongf packed = compressBound(size);
	struct bytes bytes = {malloc(head_size + packed), 0};

	assert_non_null(zeros);
	assert_non_null(bytes.data);
	memcpy(bytes.data, head, head_size);
	if (head_size == 5) {
		put_be32(zeros, (uint32_t)size);
		memcpy(zeros + 36, "acsp", 4);
	}
	assert_int_equal(compress(bytes.data + head_size, &packed, zeros, size), Z_OK);
	bytes.size = head_size + packed;
	free(zeros);
	return bytes;
}

static void packed_text_is_never_unpacked(void **state)
{
	struct png_sample png = {.width = 8, .height = 8, .depth = 8};
	struct bytes file = make_png(&png), text = bomb("a\0\0", 3, 50000000);
	struct image_limits limits = usual_limits;
	struct outcome got;

	(void)state;
	for (int i = 0; i < 20; i++)
		insert_chunk(&file, "zTXt", text.data, text.size);
	limits.memory = 1000000;
	assert_int_equal(decode_picture(reader, file, NULL, &limits, &got), STATUS_OK);
	assert_int_equal(got.info.comments, 20);
	free(got.picture.pixels);
	free(text.data);
	free(file.data);
}

static void a_profile_bomb_is_left_out(void **state)
{
	struct png_sample png = {.width = 8, .height = 8, .depth = 8, .type = 2};
	struct bytes file = make_png(&png), profile = bomb("icc\0\0", 5, 50000000);
	struct outcome got = {0};

	(void)state;
	/* a name of three letters, its end, and the method */
	insert_chunk(&file, "iCCP", profile.data, profile.size);
	assert_int_equal(decode_picture(reader, file, NULL, &usual_limits, &got), STATUS_OK);
	assert_string_equal(got.warning.text,
		"the colour profile is over the limit of 7.6M (serve --max-chunk) and left out");
	assert_int_equal(got.info.icc_bytes, 0);
	free(got.picture.pixels);
	free(profile.data);
	free(file.data);
}

/* Repeats the last scan of a progressive file. */
static struct bytes scan_bomb(unsigned times)
{
	struct jpeg_sample jpeg = {.width = 64,
		.height = 64,
		.input = JCS_GRAYSCALE,
		.inside = JCS_GRAYSCALE,
		.progressive = true};
	struct bytes file = make_jpeg(&jpeg);
	size_t scan = file.size, end = file.size - 2, size;

	for (size_t i = 0; i + 1 < file.size; i++) {
		if (file.data[i] == 0xff && file.data[i + 1] == 0xda)
			scan = i;
	}
	size = end - scan;
	file.data = realloc(file.data, file.size + times * size);
	assert_non_null(file.data);
	for (unsigned i = 0; i < times; i++)
		memcpy(file.data + end + i * size, file.data + scan, size);
	file.size = end + times * size + 2;
	memcpy(file.data + file.size - 2, "\xff\xd9", 2);
	return file;
}

static void scan_bombs_are_refused(void **state)
{
	struct bytes many = scan_bomb(200), some = scan_bomb(50);
	struct outcome got;

	(void)state;
	refuse(many, NULL, &usual_limits, "more scans than the limit of 100 (serve --max-scans)");
	assert_int_equal(decode_picture(reader, some, NULL, &usual_limits, &got), STATUS_OK);
	free(got.picture.pixels);
	free(many.data);
	free(some.data);
}

static void many_markers_are_refused(void **state)
{
	struct jpeg_sample jpeg = {.width = 8,
		.height = 8,
		.input = JCS_GRAYSCALE,
		.inside = JCS_GRAYSCALE,
		.comments = 1001};
	struct bytes file = make_jpeg(&jpeg);

	(void)state;
	refuse(file, NULL, &usual_limits,
		"more markers than the limit of 1000 (serve --max-chunks)");
	free(file.data);
}

static void memory_is_limited(void **state)
{
	struct jpeg_sample jpeg = {.width = 600,
		.height = 600,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.progressive = true};
	struct png_sample png = {.width = 60000, .height = 2, .depth = 8, .type = 6};
	struct image_limits limits = {.memory = 100000};
	struct image_options options = {.scale = 2};
	struct bytes file = make_jpeg(&jpeg);

	(void)state;
	refuse(file, NULL, &limits, "decoding needs more than the memory limit of 97.7K");
	free(file.data);
	file = make_png(&png);
	refuse(file, NULL, &limits, "decoding needs more than the memory limit of 97.7K");
	free(file.data);
	png = (struct png_sample){.width = 300, .height = 300, .depth = 8, .interlaced = true};
	limits.memory = 80000;
	file = make_png(&png);
	refuse(file, &options, &limits,
		"turning or scaling an interlaced PNG of this size needs more memory than a decode "
		"may use");
	free(file.data);
}

static void broken_exif_says_nothing(void **state)
{
	uint8_t exif[EXIF_SIZE];
	struct jpeg_sample jpeg = {
		.width = 8, .height = 8, .input = JCS_GRAYSCALE, .inside = JCS_GRAYSCALE};

	(void)state;
	for (unsigned bit = 0; bit < EXIF_SIZE * 8 * 2; bit++) {
		struct bytes file;
		struct image_info info;

		jpeg.exif = make_exif(exif, 6, bit % 2);
		exif[bit / 16] ^= (uint8_t)(1u << bit / 2 % 8);
		file = make_jpeg(&jpeg);
		assert_int_equal(
			image_probe(reader, file.data, file.size, NULL, &usual_limits, &info, NULL),
			0);
		assert_in_range(info.orientation, 0, 8);
		free(file.data);
	}
	for (size_t size = 1; size < EXIF_SIZE - 4; size++) {
		struct bytes file;
		struct image_info info;

		jpeg.exif = make_exif(exif, 6, true);
		jpeg.exif.size = size;
		file = make_jpeg(&jpeg);
		assert_int_equal(
			image_probe(reader, file.data, file.size, NULL, &usual_limits, &info, NULL),
			0);
		assert_int_equal(info.orientation, 0);
		free(file.data);
	}
}

/* The file with a marker segment before its last scan. */
static struct bytes insert_late(struct bytes file, uint8_t marker, struct bytes content)
{
	struct bytes ret = {.data = malloc(file.size + content.size + 4)};
	const uint8_t head[] = {
		0xff, marker, (uint8_t)((content.size + 2) >> 8), (uint8_t)(content.size + 2)};
	size_t at = file.size - 2;

	while (file.data[at] != 0xff || file.data[at + 1] != 0xda)
		at--;
	memcpy(ret.data, file.data, at);
	memcpy(ret.data + at, head, sizeof head);
	memcpy(ret.data + at + sizeof head, content.data, content.size);
	memcpy(ret.data + at + sizeof head + content.size, file.data + at, file.size - at);
	ret.size = file.size + sizeof head + content.size;
	return ret;
}

static void what_stands_behind_the_first_scan_changes_nothing_that_was_said(void **state)
{
	const struct jpeg_sample jpeg = {.width = 17,
		.height = 9,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.progressive = true};
	struct bytes plain = make_jpeg(&jpeg);
	struct outcome expected = {0};

	(void)state;
	assert_int_equal(decode_picture(reader, plain, NULL, &usual_limits, &expected), STATUS_OK);
	for (unsigned orientation = 1; orientation <= 8; orientation++) {
		uint8_t app1[6 + EXIF_SIZE] = "Exif\0";
		struct bytes late, content = {app1, sizeof app1};
		struct outcome got = {0};

		make_exif(app1 + 6, orientation, true);
		late = insert_late(plain, 0xe1, content);
		assert_int_equal(
			decode_picture(reader, late, NULL, &usual_limits, &got), STATUS_OK);
		assert_int_equal(got.info.orientation, 0);
		assert_int_equal(got.info.width, expected.info.width);
		assert_memory_equal(
			got.picture.pixels, expected.picture.pixels, expected.info.bytes);
		free(got.picture.pixels);
		free(late.data);
	}
	free(expected.picture.pixels);
	free(plain.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation_gives_an_error_or_pixels),
		cmocka_unit_test(every_flipped_bit_gives_an_error_or_pixels),
		cmocka_unit_test(every_flipped_bit_with_a_right_checksum_gives_an_error_or_pixels),
		cmocka_unit_test(a_reader_is_good_after_errors),
		cmocka_unit_test(a_jpeg_without_tables_does_not_get_those_of_another),
		cmocka_unit_test(floods_of_pixels_are_refused),
		cmocka_unit_test(too_many_decoded_bytes_are_refused),
		cmocka_unit_test(too_many_chunks_are_refused),
		cmocka_unit_test(packed_text_is_never_unpacked),
		cmocka_unit_test(a_profile_bomb_is_left_out),
		cmocka_unit_test(scan_bombs_are_refused),
		cmocka_unit_test(many_markers_are_refused),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(broken_exif_says_nothing),
		cmocka_unit_test(what_stands_behind_the_first_scan_changes_nothing_that_was_said),
	};

	return cmocka_run_group_tests(tests, make_reader, drop_reader);
}
