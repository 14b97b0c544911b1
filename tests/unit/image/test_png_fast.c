/* The fast road against that of libpng: the same pixels, warnings and errors; and filters
 * undone against the words of the specification. */
#include "image_samples.h"
#include "test.h"

#include "image/png_unfilter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

static struct image_reader *fast, *plain;

static int make_readers(void **state)
{
	(void)state;
	if (image_reader_new(&fast, NULL) || image_reader_new(&plain, NULL))
		return 1;
	image_reader_by_libpng(plain, true);
	return 0;
}

static int drop_readers(void **state)
{
	(void)state;
	fast = image_reader_free(fast);
	plain = image_reader_free(plain);
	return 0;
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static unsigned predict(unsigned filter, unsigned left, unsigned above, unsigned corner)
{
	int estimate = (int)left + (int)above - (int)corner;
	int to_left = abs(estimate - (int)left), to_above = abs(estimate - (int)above);
	int to_corner = abs(estimate - (int)corner);

	switch (filter) {
	case 1:
		return left;
	case 2:
		return above;
	case 3:
		return (left + above) / 2;
	case 4:
		return to_left <= to_above && to_left <= to_corner ? left
		       : to_above <= to_corner                     ? above
								   : corner;
	}
	return 0;
}

static void filters_are_undone_as_specified(void **state)
{
	static const unsigned pixels[] = {1, 2, 3, 4, 6, 8};
	uint32_t random = 99;

	(void)state;
	for (unsigned i = 0; i < 6 * PNG_FILTERS * 40 * 20; i++) {
		unsigned pixel = pixels[i % 6], filter = i / 6 % PNG_FILTERS;
		size_t width = 1 + i / 30 % 40, size = width * pixel;
		/* of just that size, so that a sanitizer sees what is read beyond it */
		uint8_t *source = malloc(size), *above = malloc(size), *row = malloc(size);
		uint32_t span = i % 7 ? 255 : 1;

		assert_true(source && above && row);
		for (size_t k = 0; k < size; k++) {
			source[k] = (uint8_t)(next_random(&random) & span);
			above[k] = (uint8_t)(next_random(&random) | (span ^ 255));
		}
		png_unfilter(filter, pixel, row, source, above, size);
		for (size_t k = 0; k < size; k++) {
			unsigned left = k < pixel ? 0 : row[k - pixel];
			unsigned corner = k < pixel ? 0 : above[k - pixel];
			unsigned byte = source[k] + predict(filter, left, above[k], corner);

			if (row[k] != (uint8_t)byte)
				fail_msg("filter %u, %u bytes a pixel: byte %zu of %zu is %u, not "
					 "%u",
					filter, pixel, k, size, row[k], byte & 255);
		}
		free(source);
		free(above);
		free(row);
	}
}

/* Several rows in one go, in blocks of just their size. */
static void rows_are_undone_together_as_one_by_one(void **state)
{
	static const unsigned pixels[] = {1, 1, 1, 2, 3, 8};
	uint32_t random = 7;

	(void)state;
	for (unsigned i = 0; i < 6 * PNG_ROWS_BEST * 60 * 4; i++) {
		unsigned pixel = pixels[i % 6], count = 1 + i / 6 % PNG_ROWS_BEST;
		size_t size = (1 + i / 6 / PNG_ROWS_BEST % 60) * pixel;
		uint8_t *source = malloc(count * (size + 1)), *above = malloc(size);
		uint8_t *wanted = malloc(size), *rows[PNG_ROWS_BEST];
		const uint8_t *before = above;

		assert_true(source && above && wanted);
		for (size_t k = 0; k < count * (size + 1); k++)
			source[k] = (uint8_t)next_random(&random);
		for (size_t k = 0; k < size; k++)
			above[k] = (uint8_t)next_random(&random);
		for (unsigned k = 0; k < count; k++) {
			source[k * (size + 1)] %= i % 7 ? PNG_FILTERS : 3;
			if (i % 7 == 1)
				source[k * (size + 1)] = PNG_FILTERS - 1;
			assert_non_null(rows[k] = malloc(size));
		}
		png_unfilter_rows(pixel, rows, count, source, above, size);
		for (unsigned k = 0; k < count; k++) {
			const uint8_t *row = source + k * (size + 1);

			png_unfilter(*row, pixel, wanted, row + 1, before, size);
			assert_memory_equal(rows[k], wanted, size);
			before = rows[k];
		}
		for (unsigned k = 0; k < count; k++)
			free(rows[k]);
		free(source);
		free(above);
		free(wanted);
	}
}

static void compare(struct bytes file, const struct image_options *options, const char *what)
{
	struct outcome a = {0}, b = {0};
	int status = decode_picture(fast, file, options, NULL, &a);

	assert_int_equal(decode_picture(plain, file, options, NULL, &b), status);
	assert_string_equal(a.error.text, b.error.text);
	if (status)
		return;
	assert_string_equal(a.warning.text, b.warning.text);
	assert_memory_equal(&a.info, &b.info, sizeof a.info);
	assert_same_picture(&a.picture, &b.picture, what);
	free(a.picture.pixels);
	free(b.picture.pixels);
}

static const int kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
	{3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};

enum {
	KINDS = sizeof kinds / sizeof *kinds
};

static void compare_every_form(struct bytes file, const char *kind)
{
	static const uint8_t channels[] = {0, 1, 3, 4}, scales[] = {1, 2, 8};
	char what[80];

	for (unsigned k = 0; k < 4 * 2 * 2 * 2 * 3; k++) {
		const struct image_options options = {.channels = channels[k % 4],
			.layout = k / 4 % 2,
			.flags = (uint8_t)((k / 8 % 2 ? IMAGE_NATIVE_DEPTH : 0) |
					   (k / 16 % 2 ? IMAGE_PREMULTIPLY : 0)),
			.scale = scales[k / 32]};

		snprintf(what, sizeof what, "%s, form %u", kind, k);
		compare(file, &options, what);
	}
}

static void every_kind_in_every_form_is_what_libpng_gives(void **state)
{
	static const uint32_t sizes[][2] = {{1, 1}, {5, 7}, {70, 90}};
	static const unsigned orientations[] = {0, 3, 7};
	uint8_t exif[EXIF_SIZE];
	char what[40];

	(void)state;
	for (unsigned i = 0; i < KINDS * 2 * 3 * 3; i++) {
		const int *kind = kinds[i % KINDS];
		const uint32_t *size = sizes[i / KINDS / 2 % 3];
		unsigned orientation = orientations[i / KINDS / 6];
		struct png_sample sample = {.type = kind[0],
			.depth = kind[1],
			.transparent = i / KINDS % 2 && kind[0] < 4,
			.filters = PNG_ALL_FILTERS,
			.width = size[0],
			.height = size[1]};
		struct bytes file;

		if (orientation)
			sample.exif = make_exif(exif, orientation, true);
		file = make_png(&sample);
		snprintf(what, sizeof what, "type %d, depth %d", sample.type, sample.depth);
		compare_every_form(file, what);
		free(file.data);
	}
}

/* Whatever byte is changed, and wherever it ends. */
static void every_damage_is_told_as_libpng_tells_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KINDS; i++) {
		const struct png_sample sample = {.width = 9,
			.height = 7,
			.type = kinds[i][0],
			.depth = kinds[i][1],
			.filters = PNG_ALL_FILTERS};
		const struct image_options lenient = {.flags = IMAGE_LENIENT};
		struct bytes file = make_png(&sample);
		size_t size = file.size;

		for (file.size = 0; file.size < size; file.size++) {
			compare(file, NULL, "truncated");
			compare(file, &lenient, "truncated, lenient");
		}
		for (size_t at = 8; at < size; at++) {
			file.data[at] ^= 0x11;
			compare(file, NULL, "damaged");
			compare(file, &lenient, "damaged, lenient");
			file.data[at] ^= 0x11;
		}
		free(file.data);
	}
}

static void compare_reduced(struct bytes file, const char *what)
{
	for (unsigned i = 0; i < 4; i++)
		compare(file,
			&(struct image_options){.scale = i / 2 ? 8 : 2,
				.flags = i % 2 ? IMAGE_LENIENT | IMAGE_NATIVE_DEPTH : 0},
			what);
}

/* The length of the next IDAT from `at` on, which moves there; 0 if there is none. */
static size_t next_idat(struct bytes file, size_t *at)
{
	while (*at + 12 <= file.size) {
		const uint8_t *chunk = file.data + *at;
		const size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 |
				      (size_t)chunk[2] << 8 | chunk[3];

		if (memcmp(chunk + 4, "IDAT", 4) == 0)
			return length;
		*at += length + 12;
	}
	return 0;
}

/* Changes a byte of a chunk's data, and its CRC to what it is then. */
static void damage(struct bytes file, size_t at, size_t length, size_t byte)
{
	uint32_t crc;

	file.data[at + 8 + byte] ^= 0x11;
	crc = (uint32_t)crc32(0, file.data + at + 4, (uInt)length + 4);
	for (size_t i = 0; i < 4; i++)
		file.data[at + 8 + length + i] = (uint8_t)(crc >> (24 - 8 * i));
}

/* Larger than what is inflated and gathered at a time: rows are reduced before anybody knows whether what
 * follows is damaged. */
static void large_images_are_reduced_as_by_libpng(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KINDS; i++) {
		const struct png_sample sample = {.width = 1000,
			.height = 610,
			.type = kinds[i][0],
			.depth = kinds[i][1],
			.filters = PNG_ALL_FILTERS};
		struct bytes file = make_png(&sample);
		char what[40];

		snprintf(what, sizeof what, "type %d, depth %d", sample.type, sample.depth);
		compare_reduced(file, what);
		free(file.data);
	}
}

static void late_damage_is_told_as_libpng_tells_it(void **state)
{
	const struct png_sample sample = {
		.width = 300, .height = 290, .type = 6, .depth = 16, .filters = PNG_ALL_FILTERS};
	struct bytes file = make_png(&sample);
	size_t at = 8, length, count = 0;

	(void)state;
	for (; (length = next_idat(file, &at)) > 0; at += length + 12, count++) {
		const size_t middle = length / 2, last = length - 1;

		/* all of the last ones, and some of those before */
		if (count % 16 > 0 && at + 2 * (length + 12) < file.size)
			continue;
		damage(file, at, length, middle);
		compare_reduced(file, "damaged data");
		damage(file, at, length, middle);
		damage(file, at, length, last);
		compare_reduced(file, "damage at a chunk's end");
		damage(file, at, length, last);
		file.data[at + 8 + length] ^= 1;
		compare_reduced(file, "wrong CRC");
		file.data[at + 8 + length] ^= 1;
		compare_reduced((struct bytes){file.data, at + 8 + middle}, "truncated");
	}
	assert_true(count > 20);
	free(file.data);
}

/* RGB of 300x221 in blocks that are stored: little more than what is gathered in three times. */
enum {
	BY_HAND_ROW = 1 + 300 * 3,
	BY_HAND = BY_HAND_ROW * 221
};

static void add(struct bytes *file, const void *data, size_t size)
{
	file->data = realloc(file->data, file->size + size);
	assert_non_null(file->data);
	memcpy(file->data + file->size, data, size);
	file->size += size;
}

static void add_stored(struct bytes *stream, const uint8_t *data, unsigned size, bool last)
{
	const uint8_t head[5] = {
		last, (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)~size, (uint8_t)(~size >> 8)};

	add(stream, head, sizeof head);
	add(stream, data, size);
}

static void add_number(struct bytes *file, uint32_t number)
{
	const uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
		(uint8_t)(number >> 8), (uint8_t)number};

	add(file, bytes, sizeof bytes);
}

static void add_chunk(struct bytes *file, const char *type, const uint8_t *data, size_t size)
{
	const size_t start = file->size + 4;

	add_number(file, (uint32_t)size);
	add(file, type, 4);
	add(file, data, size);
	add_number(file, (uint32_t)crc32(0, file->data + start, (uInt)size + 4));
}

/* With so many empty blocks at the end; the last chunk has the checksum alone. */
static struct bytes by_hand(const uint8_t *rows, size_t size, unsigned empty, uint32_t change)
{
	static const uint8_t header[13] = {[2] = 300 >> 8, 300 & 255, [7] = 221, 8, 2};
	struct bytes file = {0}, stream = {0};

	add(&stream, "\x78\x01", 2);
	for (size_t at = 0; at < size; at += 20000)
		add_stored(&stream, rows + at, size - at < 20000 ? (unsigned)(size - at) : 20000,
			false);
	for (unsigned i = 0; i <= empty; i++)
		add_stored(&stream, rows, 0, i == empty);
	add(&file, "\x89PNG\r\n\x1a\n", 8);
	add_chunk(&file, "IHDR", header, sizeof header);
	for (size_t at = 0; at < stream.size; at += 8192)
		add_chunk(&file, "IDAT", stream.data + at,
			stream.size - at < 8192 ? stream.size - at : 8192);
	stream.size = 0;
	add_number(&stream, (uint32_t)adler32(1, rows, (uInt)size) ^ change);
	add_chunk(&file, "IDAT", stream.data, stream.size);
	add_chunk(&file, "IEND", header, 0);
	free(stream.data);
	return file;
}

static void damage_behind_the_last_row_is_told_as_libpng_tells_it(void **state)
{
	static uint8_t rows[BY_HAND + 10];
	uint32_t random = 5;

	(void)state;
	for (size_t i = 0; i < sizeof rows; i++)
		rows[i] = (uint8_t)next_random(&random);
	for (size_t i = 0; i < BY_HAND; i += BY_HAND_ROW)
		rows[i] %= PNG_FILTERS;
	for (unsigned i = 0; i < 100; i++) {
		const bool odd_filter = i % 5 == 1;
		const size_t size = i % 5 == 2 ? BY_HAND + 10 : i % 5 == 3 ? BY_HAND - 10 : BY_HAND;
		struct bytes file;

		rows[150 * BY_HAND_ROW] = odd_filter ? PNG_FILTERS : 0;
		file = by_hand(rows, size, i * 3, i % 5 == 4);
		compare(file, &(struct image_options){.scale = 2}, "made by hand");
		free(file.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_are_undone_as_specified),
		cmocka_unit_test(rows_are_undone_together_as_one_by_one),
		cmocka_unit_test(every_kind_in_every_form_is_what_libpng_gives),
		cmocka_unit_test(every_damage_is_told_as_libpng_tells_it),
		cmocka_unit_test(large_images_are_reduced_as_by_libpng),
		cmocka_unit_test(late_damage_is_told_as_libpng_tells_it),
		cmocka_unit_test(damage_behind_the_last_row_is_told_as_libpng_tells_it),
	};

	return cmocka_run_group_tests(tests, make_readers, drop_readers);
}
