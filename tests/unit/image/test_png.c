/* What a PNG holds beside plain pixels: bytes behind its end, chunks over the limit, Exif in text,
 * streams that are not quite right. Its chunks are put together here, one by one. */
#include "reader.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

static void add(struct bytes *bytes, const void *data, size_t size)
{
	bytes->data = realloc(bytes->data, bytes->size + size + 1);
	assert_non_null(bytes->data);
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

static void add_be32(struct bytes *bytes, uint32_t value)
{
	const uint8_t big[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
		(uint8_t)(value >> 8), (uint8_t)value};

	add(bytes, big, sizeof big);
}

static void add_chunk(struct bytes *file, const char *type, const void *data, size_t size)
{
	size_t start = file->size + 4;

	add_be32(file, (uint32_t)size);
	add(file, type, 4);
	add(file, data, size);
	add_be32(file, (uint32_t)crc32(0, file->data + start, (uInt)size + 4));
}

/* The signature and IHDR of grey with 8 bits. */
static struct bytes begin_grey(uint32_t width, uint32_t height)
{
	struct bytes file = {0}, header = {0};

	add(&file, "\x89PNG\r\n\x1a\n", 8);
	add_be32(&header, width);
	add_be32(&header, height);
	add(&header, "\x8\0\0\0\0", 5);
	add_chunk(&file, "IHDR", header.data, header.size);
	free(header.data);
	return file;
}

/* The zlib stream of 4x4 grey: rows of 50, 100, 150 and 200. */
static struct bytes four_rows(void)
{
	uint8_t raw[4 * 5] = {0};
	struct bytes stream = {malloc(100), 100};
	uLongf size = 100;

	for (int i = 0; i < 16; i++)
		raw[i / 4 * 5 + 1 + i % 4] = (uint8_t)(50 * (i / 4 + 1));
	assert_int_equal(compress(stream.data, &size, raw, sizeof raw), Z_OK);
	stream.size = size;
	return stream;
}

/* 4x4 grey with these chunks before and behind the pixels. */
static struct bytes four_rows_between(const struct bytes *before, const struct bytes *behind)
{
	struct bytes file = begin_grey(4, 4), stream = four_rows();

	if (before)
		add(&file, before->data, before->size);
	add_chunk(&file, "IDAT", stream.data, stream.size);
	if (behind)
		add(&file, behind->data, behind->size);
	add_chunk(&file, "IEND", "", 0);
	free(stream.data);
	return file;
}

/* Decodes, and expects the first `rows` of the four; the others are black. */
static void expect_rows(struct bytes file, const struct image_options *options, unsigned rows,
	const char *warning, struct image_info *ret)
{
	struct outcome got = {0};

	if (decode_picture(reader, file, options, &usual_limits, &got))
		fail_msg("%s", got.error.text);
	assert_int_equal(got.info.width, 4);
	assert_int_equal(got.info.height, 4);
	assert_int_equal(got.info.channels, 1);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(got.picture.pixels[i], i / 4 < rows ? 50 * (i / 4 + 1) : 0);
	assert_string_equal(got.warning.text, warning);
	free(got.picture.pixels);
	if (ret)
		*ret = got.info;
}

static void what_is_behind_iend_is_no_part_of_a_png(void **state)
{
	uint8_t noise[5000];
	struct bytes file = four_rows_between(NULL, NULL);
	struct image_info info;
	size_t size = file.size;
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (uint8_t)((random = random * 1103515245 + 12345) >> 16);
	for (unsigned i = 0; i < 600; i++) {
		size_t offset = i * 7;

		file.size = size;
		add(&file, noise + offset, 13 + i);
		expect_rows(file, NULL, 4, "", NULL);
	}
	/* chunks that would count, were they not behind the end */
	file.size = size;
	add(&file, "some text after the end of the file", 35);
	expect_rows(file, NULL, 4, "", NULL);
	file.size = size;
	for (unsigned i = 0; i < 1001; i++)
		add_chunk(&file, "tEXt", "Comment\0words", 13);
	add_chunk(&file, "acTL", "\0\0\0\2\0\0\0\0", 8);
	expect_rows(file, NULL, 4, "", &info);
	assert_int_equal(info.comments, 0);
	assert_false(info.animated);
	free(file.data);
}

static void a_chunk_over_the_limit_is_left_out_with_a_warning(void **state)
{
	static const char *const types[] = {"tEXt", "zTXt", "iTXt", "eXIf", "prVt", "tIME"};
	struct bytes big = {calloc(1, 8000001), 8000001};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof types / sizeof *types; i++) {
		struct bytes chunk = {0}, file;
		char warning[200];

		add_chunk(&chunk, types[i / 2], big.data, big.size);
		file = i % 2 ? four_rows_between(NULL, &chunk) : four_rows_between(&chunk, NULL);
		snprintf(warning, sizeof warning,
			"a chunk %s of 7.6M is over the limit of 7.6M (serve --max-chunk) and left "
			"out",
			types[i / 2]);
		expect_rows(file, NULL, 4, warning, NULL);
		free(file.data);
		free(chunk.data);
	}
	free(big.data);
}

static void frames_of_an_animation_may_be_large(void **state)
{
	struct bytes big = {calloc(1, 9000000), 9000000}, frames = {0}, control = {0}, file;
	struct image_info info;

	(void)state;
	add_chunk(&control, "acTL", "\0\0\0\2\0\0\0\0", 8);
	add_chunk(&frames, "fdAT", big.data, big.size);
	file = four_rows_between(&control, &frames);
	expect_rows(file, NULL, 4, "", &info);
	assert_true(info.animated);
	free(file.data);
	free(control.data);
	free(frames.data);
	free(big.data);
}

/* A stored block behind a zlib header that states a window of 2^(8 + log) bytes, and the distance
 * of a match that would not fit it is what deflate makes of two equal rows. */
static void a_window_stated_too_small_is_read(void **state)
{
	(void)state;
	for (unsigned log = 0; log < 8; log++) {
		struct bytes file = begin_grey(300, 60);
		uint8_t raw[60 * 301], stream[8192];
		uLongf size = sizeof stream;
		struct outcome got = {0};

		for (size_t i = 0; i < sizeof raw; i++)
			raw[i] = (uint8_t)(i % 301 == 0 ? 0 : i % 301 * (i % 301) / 7 + 99);
		assert_int_equal(compress(stream, &size, raw, sizeof raw), Z_OK);
		stream[0] = (uint8_t)(log << 4 | 8);
		stream[1] = (uint8_t)(31 - (stream[0] << 8) % 31);
		add_chunk(&file, "IDAT", stream, size);
		add_chunk(&file, "IEND", "", 0);
		if (decode_picture(reader, file, NULL, &usual_limits, &got))
			fail_msg("2^%u: %s", log + 8, got.error.text);
		for (size_t i = 0; i < 60; i++)
			assert_memory_equal(got.picture.pixels + 300 * i, raw + 1, 300);
		assert_string_equal(got.warning.text, "");
		free(got.picture.pixels);
		free(file.data);
	}
}

/* As ImageMagick writes it. */
static struct bytes raw_profile(const char *name, struct bytes exif, bool marker, bool upper)
{
	struct bytes text = {0};
	char part[64];
	size_t size = exif.size + (marker ? 6 : 0);

	add(&text, part, (size_t)snprintf(part, sizeof part, "\n%s\n%8zu\n", name, size));
	for (size_t i = 0; i < size; i++) {
		unsigned byte = !marker ? exif.data[i]
				: i < 6 ? (unsigned char)"Exif\0"[i]
					: exif.data[i - 6];

		if (i && i % 36 == 0)
			add(&text, "\n", 1);
		add(&text, part,
			(size_t)snprintf(part, sizeof part, upper ? "%02X" : "%02x", byte));
	}
	add(&text, "\n", 1);
	return text;
}

/* The chunk that holds such a text. */
static struct bytes profile_chunk(const char *type, const char *keyword, struct bytes text)
{
	struct bytes content = {0}, chunk = {0};
	uint8_t packed[1000];
	uLongf size = sizeof packed;

	add(&content, keyword, strlen(keyword) + 1);
	if (strcmp(type, "zTXt") == 0) {
		assert_int_equal(compress(packed, &size, text.data, text.size), Z_OK);
		add(&content, "", 1);
		add(&content, packed, size);
	} else {
		add(&content, text.data, text.size);
	}
	add_chunk(&chunk, type, content.data, content.size);
	free(content.data);
	return chunk;
}

static unsigned orientation_of(const struct bytes *before, const struct bytes *behind)
{
	struct bytes file = four_rows_between(before, behind);
	struct outcome got = {0};
	const uint8_t *at;

	assert_int_equal(decode_picture(reader, file, NULL, &usual_limits, &got), STATUS_OK);
	at = got.picture.pixels;
	/* what is said is done: rows become columns from 5 on */
	assert_int_equal(at[0] == at[3], got.info.orientation < 5);
	free(got.picture.pixels);
	free(file.data);
	return got.info.orientation;
}

static void exif_in_a_text_chunk_turns_the_image(void **state)
{
	static const struct {
		const char *type, *keyword;
		bool marker;
		bool counts;
	} kinds[] = {
		{"tEXt", "Raw profile type exif", false, true},
		{"zTXt", "Raw profile type exif", true, true},
		{"tEXt", "Raw profile type APP1", true, true},
		{"zTXt", "Raw profile type APP1", false, true},
		{"zTXt", "Raw profile type icc", true, false},
		{"iTXt", "Raw profile type exif", true, false},
		{"tEXt", "raw profile type exif", true, false},
	};
	uint8_t buffer[EXIF_SIZE];

	(void)state;
	for (unsigned i = 0; i < 8 * sizeof kinds / sizeof *kinds; i++) {
		unsigned kind = i / 8, orientation = i % 8 + 1;
		struct bytes exif = make_exif(buffer, orientation, i % 2);
		struct bytes text = raw_profile("exif", exif, kinds[kind].marker, i % 3);
		struct bytes chunk = profile_chunk(kinds[kind].type, kinds[kind].keyword, text);

		assert_int_equal(
			orientation_of(&chunk, NULL), kinds[kind].counts ? orientation : 0);
		/* behind the pixels it is too late, as for eXIf */
		assert_int_equal(orientation_of(NULL, &chunk), 0);
		/* with a wrong checksum it is not believed */
		chunk.data[chunk.size - 1] ^= 1;
		assert_int_equal(orientation_of(&chunk, NULL), 0);
		free(chunk.data);
		free(text.data);
	}
}

static void exif_behind_the_pixels_does_not_turn_the_image(void **state)
{
	uint8_t buffer[EXIF_SIZE];
	struct bytes exif = make_exif(buffer, 6, true), chunk = {0};

	(void)state;
	add_chunk(&chunk, "eXIf", exif.data, exif.size);
	assert_int_equal(orientation_of(&chunk, NULL), 6);
	assert_int_equal(orientation_of(NULL, &chunk), 0);
	free(chunk.data);
}

static void exif_of_its_own_chunk_counts_before_that_in_text(void **state)
{
	uint8_t buffer[EXIF_SIZE];
	struct bytes text = raw_profile("exif", make_exif(buffer, 6, true), true, false);
	struct bytes chunks = profile_chunk("zTXt", "Raw profile type exif", text);
	struct bytes exif = make_exif(buffer, 8, true);

	(void)state;
	add_chunk(&chunks, "eXIf", exif.data, exif.size);
	assert_int_equal(orientation_of(&chunks, NULL), 8);
	free(chunks.data);
	free(text.data);
}

/* Whatever is wrong with it, the pixels come. */
static void broken_exif_in_text_says_nothing(void **state)
{
	static const char *const broken[] = {"", "\n", "\nexif", "\nexif\n", "\nexif\n      34",
		"\nexif\n      34\n", "\nexif\n      34\nxy", "\nexif\n  99999999999999999999\n45",
		"\nexif\n0\n4949", "no newline", "\nexif\n 4\n49", "\nexif\n 2\n4"};
	uint8_t buffer[EXIF_SIZE];
	struct bytes text = raw_profile("exif", make_exif(buffer, 6, true), true, false);

	(void)state;
	for (size_t i = 0; i < 2 * sizeof broken / sizeof *broken; i++) {
		const char *say = broken[i / 2];
		struct bytes chunk = profile_chunk(i % 2 ? "zTXt" : "tEXt", "Raw profile type exif",
			(struct bytes){(uint8_t *)(uintptr_t)say, strlen(say)});

		assert_int_equal(orientation_of(&chunk, NULL), 0);
		free(chunk.data);
	}
	/* the orientation stands before byte 26 of 32: hexadecimal up to there, and its head */
	for (size_t size = 0; size < 15 + 2 * 25; size++) {
		struct bytes chunk = profile_chunk(
			"tEXt", "Raw profile type exif", (struct bytes){text.data, size});

		assert_int_equal(orientation_of(&chunk, NULL), 0);
		free(chunk.data);
	}
	free(text.data);
}

static void exif_in_text_that_inflates_without_end_is_given_up(void **state)
{
	struct bytes zeros = {calloc(1, 60000000), 60000000}, content = {0}, chunk = {0};
	uLongf size = compressBound(60000000);
	uint8_t *packed = malloc(size);

	(void)state;
	assert_non_null(packed);
	memset(zeros.data, '\n', zeros.size);
	memcpy(zeros.data, "\nexif\n 60000\n", 13);
	assert_int_equal(compress(packed, &size, zeros.data, zeros.size), Z_OK);
	add(&content, "Raw profile type exif\0", 23);
	add(&content, packed, size);
	add_chunk(&chunk, "zTXt", content.data, content.size);
	assert_int_equal(orientation_of(&chunk, NULL), 0);
	free(chunk.data);
	free(content.data);
	free(zeros.data);
	free(packed);
}

static const struct image_options lenient = {.flags = IMAGE_LENIENT};

static void expect_error(struct bytes file, const char *message)
{
	struct outcome got = {0};

	if (decode_picture(reader, file, NULL, &usual_limits, &got) == STATUS_OK)
		fail_msg("%zu bytes were accepted, without: %s", file.size, message);
	assert_int_equal(got.error.status, STATUS_BAD_DATA);
	assert_string_equal(got.error.text, message);
}

/* Bytes that zlib makes of the first `size` of a stream. */
static size_t inflated_size(struct bytes stream, size_t size)
{
	uint8_t raw[100];
	z_stream zip = {.next_in = stream.data,
		.avail_in = (uInt)size,
		.next_out = raw,
		.avail_out = sizeof raw};

	assert_int_equal(inflateInit(&zip), Z_OK);
	inflate(&zip, Z_SYNC_FLUSH);
	inflateEnd(&zip);
	return zip.total_out;
}

/* Truncated streams in whole chunks, in one or two of them: each row whose data are there comes. */
static void lenient_gives_every_row_of_a_truncated_stream(void **state)
{
	struct bytes stream = four_rows();

	(void)state;
	assert_int_equal(inflated_size(stream, stream.size - 4), 20);
	for (size_t size = 0; size < stream.size; size++) {
		for (size_t first = 0; first <= size; first++) {
			struct bytes file = begin_grey(4, 4);
			const char *message = "broken PNG: Not enough image data";

			add_chunk(&file, "IDAT", stream.data, first);
			if (size > first)
				add_chunk(&file, "IDAT", stream.data + first, size - first);
			add_chunk(&file, "IEND", "", 0);
			/* libpng does not miss a checksum behind the last byte of a chunk */
			if (size < stream.size - 4)
				expect_error(file, message);
			if (size < stream.size - 4 || first == size)
				expect_rows(file, &lenient,
					(unsigned)inflated_size(stream, size) / 5, message, NULL);
			free(file.data);
		}
	}
	free(stream.data);
}

/* The file itself ends anywhere within its pixels. */
static void lenient_gives_every_row_of_a_truncated_file(void **state)
{
	struct bytes file = four_rows_between(NULL, NULL), stream = four_rows();
	size_t start = 8 + 25 + 8, whole = file.size;

	(void)state;
	for (size_t size = start; size < whole; size++) {
		size_t there = size - start < stream.size ? size - start : stream.size;

		file.size = size;
		expect_error(file, "broken PNG: the file ends too early");
		expect_rows(file, &lenient, (unsigned)inflated_size(stream, there) / 5,
			"broken PNG: the file ends too early", NULL);
	}
	free(file.data);
	free(stream.data);
}

static void lenient_does_not_mind_checksums(void **state)
{
	struct bytes stream = four_rows();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct bytes file = begin_grey(4, 4);
		const char *message = i < 2 ? "broken PNG: IDAT: CRC error"
					    : "broken PNG: IDAT: incorrect data check";
		size_t first = i % 2 ? 10 : 0;

		if (i >= 2)
			stream.data[stream.size - 1] ^= 1;
		add_chunk(&file, "IDAT", stream.data, first);
		file.data[file.size - 1] ^= i == 1;
		add_chunk(&file, "IDAT", stream.data + first, stream.size - first);
		file.data[file.size - 1] ^= i == 0;
		add_chunk(&file, "IEND", "", 0);
		if (i >= 2)
			stream.data[stream.size - 1] ^= 1;
		expect_error(file, message);
		expect_rows(file, &lenient, 4, message, NULL);
		free(file.data);
	}
	free(stream.data);
}

static size_t chunk_length(const uint8_t *chunk)
{
	return (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
}

/* Flips a bit of the pixels' Adler-32 or, with `crc`, of the CRC of the last IDAT. */
static void spoil_checksum(struct bytes *file, bool crc)
{
	uint8_t *chunk = NULL, *end;

	for (size_t at = 8; at < file->size; at += 12 + chunk_length(file->data + at))
		if (memcmp(file->data + at + 4, "IDAT", 4) == 0)
			chunk = file->data + at;
	assert_non_null(chunk);
	end = chunk + 8 + chunk_length(chunk);
	if (crc) {
		end[3] ^= 1;
		return;
	}
	end[-1] ^= 1;
	for (uint32_t sum = (uint32_t)crc32(0, chunk + 4, (uInt)(end - chunk - 4)), i = 0; i < 4;
		i++)
		end[i] = (uint8_t)(sum >> (24 - 8 * i));
}

static void lenient_gives_all_of_every_kind_whose_checksum_is_wrong(void **state)
{
	static const int kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16},
		{3, 1}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
	uint8_t exif[EXIF_SIZE];

	(void)state;
	for (unsigned i = 0; i < 16 * sizeof kinds / sizeof *kinds; i++) {
		const struct png_sample sample = {.width = 37,
			.height = 290,
			.type = kinds[i / 16][0],
			.depth = kinds[i / 16][1],
			.interlaced = i & 1,
			.transparent = kinds[i / 16][0] == 3,
			.exif = i & 2 ? make_exif(exif, 6, true) : (struct bytes){0}};
		const struct image_options options = {
			.flags = IMAGE_LENIENT, .scale = i & 4 ? 2 : 1};
		struct bytes file = make_png(&sample);
		struct outcome whole = {0}, got = {0};

		assert_int_equal(
			decode_picture(reader, file, &options, &usual_limits, &whole), STATUS_OK);
		assert_string_equal(whole.warning.text, "");
		spoil_checksum(&file, i & 8);
		assert_int_equal(
			decode_picture(reader, file, &options, &usual_limits, &got), STATUS_OK);
		assert_string_equal(
			got.warning.text, i & 8 ? "broken PNG: IDAT: CRC error"
						: "broken PNG: IDAT: incorrect data check");
		assert_same_picture(&got.picture, &whole.picture, "checksum");
		free(got.picture.pixels);
		free(whole.picture.pixels);
		free(file.data);
	}
}

/* Damage is what is said of an image, whatever was odd before it. */
static void a_warning_of_damage_comes_before_others(void **state)
{
	struct bytes chunk = {0}, file;

	(void)state;
	add_chunk(&chunk, "gAMA", "\0\0\0\0", 4);
	file = four_rows_between(&chunk, NULL);
	expect_rows(file, NULL, 4, "gAMA: gamma value out of range", NULL);
	spoil_checksum(&file, true);
	expect_rows(file, &lenient, 4, "broken PNG: IDAT: CRC error", NULL);
	free(chunk.data);
	free(file.data);
}

/* Whatever the release of libpng lets through. */
static void colours_that_cannot_be_are_left_out(void **state)
{
	static const struct {
		const char *type;
		uint8_t data[32];
		unsigned size;
		const char *warning;
	} chunks[] = {
		{"gAMA", {0x7f, 0xff, 0xff, 0xff}, 4, "gAMA: gamma value out of range"},
		{"gAMA", {0, 0, 0, 1}, 4, "gAMA: gamma value out of range"},
		{"cHRM", {0, 3}, 32, "cHRM: invalid chromaticities"},
		{"cHRM", {[4] = 0x7f, 0xff, 0xff, 0xff}, 32, "cHRM: invalid chromaticities"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		static const int32_t none[8];
		struct bytes chunk = {0}, file;
		struct image_info info;

		add_chunk(&chunk, chunks[i].type, chunks[i].data, chunks[i].size);
		file = four_rows_between(&chunk, NULL);
		expect_rows(file, NULL, 4, chunks[i].warning, &info);
		assert_int_equal(info.gamma, 0);
		assert_memory_equal(info.chromaticities, none, sizeof none);
		free(chunk.data);
		free(file.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(colours_that_cannot_be_are_left_out),
		cmocka_unit_test(what_is_behind_iend_is_no_part_of_a_png),
		cmocka_unit_test(a_chunk_over_the_limit_is_left_out_with_a_warning),
		cmocka_unit_test(frames_of_an_animation_may_be_large),
		cmocka_unit_test(a_window_stated_too_small_is_read),
		cmocka_unit_test(exif_in_a_text_chunk_turns_the_image),
		cmocka_unit_test(exif_behind_the_pixels_does_not_turn_the_image),
		cmocka_unit_test(exif_of_its_own_chunk_counts_before_that_in_text),
		cmocka_unit_test(broken_exif_in_text_says_nothing),
		cmocka_unit_test(exif_in_text_that_inflates_without_end_is_given_up),
		cmocka_unit_test(lenient_gives_every_row_of_a_truncated_stream),
		cmocka_unit_test(lenient_gives_every_row_of_a_truncated_file),
		cmocka_unit_test(lenient_does_not_mind_checksums),
		cmocka_unit_test(lenient_gives_all_of_every_kind_whose_checksum_is_wrong),
		cmocka_unit_test(a_warning_of_damage_comes_before_others),
	};

	return cmocka_run_group_tests(tests, make_reader, drop_reader);
}
