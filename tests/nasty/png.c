/* PNG: wrong CRCs, lengths and orders, and bombs. */
#include "internal.h"

#include <string.h>

#define MEGABYTE ((size_t)1 << 20)

struct chunk {
	size_t at, size; /* of the whole chunk, length and CRC included */
};

static size_t find_chunks(const struct bytes *file, struct chunk *chunks, size_t most)
{
	size_t at = 8, count = 0;

	while (at + 12 <= file->size && count < most) {
		chunks[count] = (struct chunk){at, (size_t)get_be32(file->data + at) + 12};
		at += chunks[count++].size;
	}
	return count;
}

static void spoil_chunk(struct nasty *nasty, const struct bytes *file, const struct chunk *chunk)
{
	static const uint32_t lengths[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff4};
	const char *type = (const char *)file->data + chunk->at + 4;
	enum verdict verdict = type[0] & 0x20 ? EITHER : REFUSED;
	struct bytes copy = bytes_copy(file, file->size);

	copy.data[chunk->at + chunk->size - 1] ^= 1;
	/* A wrong CRC at the very end hurts nobody. */
	nasty_show(nasty, &copy, memcmp(type, "IEND", 4) ? verdict : EITHER, "png-crc-%.4s-%zu",
		type, chunk->at);
	copy.data[chunk->at + chunk->size - 1] ^= 1;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		put_be32(copy.data + chunk->at, lengths[i]);
		nasty_show(nasty, &copy, EITHER, "png-length-%.4s-%zu-%zu", type, chunk->at, i);
	}
	bytes_free(&copy);

	copy = bytes_copy(file, file->size);
	bytes_replace(&copy, chunk->at, chunk->size, NULL, 0);
	nasty_show(nasty, &copy, EITHER, "png-without-%.4s-%zu", type, chunk->at);
	bytes_free(&copy);

	copy = bytes_copy(file, file->size);
	bytes_replace(&copy, chunk->at, 0, file->data + chunk->at, chunk->size);
	nasty_show(nasty, &copy, EITHER, "png-twice-%.4s-%zu", type, chunk->at);
	bytes_free(&copy);

	copy = bytes_copy(file, file->size);
	bytes_replace(&copy, chunk->at, chunk->size, NULL, 0);
	bytes_replace(&copy, 8, 0, file->data + chunk->at, chunk->size);
	nasty_show(nasty, &copy, EITHER, "png-first-%.4s-%zu", type, chunk->at);
	bytes_free(&copy);
}

static void spoil_chunks(struct nasty *nasty)
{
	enum {
		MOST = 32
	};
	uint8_t exif[EXIF_SIZE], icc[ICC_SIZE];
	struct bytes file = make_png(&(struct png_sample){.width = 20,
		.height = 20,
		.type = PNG_COLOR_TYPE_PALETTE,
		.depth = 8,
		.transparent = true,
		.exif = make_exif(exif, 3, false),
		.icc = make_icc(icc, "RGB "),
		.comments = 2});
	struct chunk chunks[MOST];
	size_t count = find_chunks(&file, chunks, MOST);

	for (size_t i = 0; i < count; i++)
		spoil_chunk(nasty, &file, &chunks[i]);
	bytes_free(&file);
}

/* Every pair of extreme sizes, with the right CRC and hardly any data behind it. */
static void sizes(struct nasty *nasty)
{
	static const uint32_t sides[] = {
		0, 1, 2, 65500, 65535, 65536, 1000000, 0x7fffffff, 0x80000000, 0xffffffff};
	static const uint8_t types[] = {0, 2, 3, 4, 6, 1, 7}, depths[] = {1, 8, 16, 3};
	struct bytes data = zlib_run(3000, 0);

	for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
		for (size_t k = 0; k < sizeof sides / sizeof *sides; k++)
			for (size_t n = 0; n < sizeof types * sizeof depths; n++) {
				struct bytes file = png_begin();
				uint64_t pixels = (uint64_t)sides[i] * sides[k];

				png_add_header(
					&file, sides[i], sides[k], depths[n % 4], types[n / 4]);
				png_add(&file, "PLTE", "abcdef", 6);
				png_add(&file, "IDAT", data.data, data.size);
				png_add(&file, "IEND", NULL, 0);
				nasty_show(nasty, &file,
					pixels > 100000000 || !pixels ? REFUSED : EITHER,
					"png-size-%u-%u-%zu", sides[i], sides[k], n);
				bytes_free(&file);
			}
	bytes_free(&data);
}

/* Large, and allowed: what is within the limits must come out in time. */
static void floods(struct nasty *nasty)
{
	static const struct {
		uint32_t width, height;
		uint8_t depth, type;
		enum verdict verdict;
	} floods[] = {
		{10000, 10000, 1, 0, WHOLE},
		{65535, 1500, 1, 0, WHOLE},
		{1, 65535, 8, 6, WHOLE},
		{5000, 5000, 16, 6, WHOLE},
		{10001, 10000, 1, 0, REFUSED},
		{65500, 65500, 1, 0, REFUSED},
	};

	for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
		static const uint8_t channels[] = {1, 0, 3, 1, 2, 0, 4};
		uint64_t bits = (uint64_t)floods[i].width * floods[i].depth *
				channels[floods[i].type];
		struct bytes data = zlib_run((size_t)((bits + 7) / 8 + 1) * floods[i].height, 0);
		struct bytes file = png_begin();

		png_add_header(
			&file, floods[i].width, floods[i].height, floods[i].depth, floods[i].type);
		png_add(&file, "IDAT", data.data, data.size);
		png_add(&file, "IEND", NULL, 0);
		nasty_show(nasty, &file, floods[i].verdict, "png-flood-%zu", i);
		bytes_free(&data);
		bytes_free(&file);
	}
}

/* A small picture with these chunks before its pixels. */
static void with_chunks(struct nasty *nasty, const char *type, const struct bytes *data,
	unsigned count, enum verdict verdict, const char *what)
{
	struct bytes file = png_begin(), chunk = {0}, pixels = zlib_run(17, 0);

	png_add_header(&file, 16, 1, 8, 0);
	png_add(&chunk, type, data->data, data->size);
	bytes_repeat(&file, chunk.data, chunk.size, count);
	png_add(&file, "IDAT", pixels.data, pixels.size);
	png_add(&file, "IEND", NULL, 0);
	nasty_show(nasty, &file, verdict, "png-%s-%.4s-%u", what, type, count);
	bytes_free(&file);
	bytes_free(&chunk);
	bytes_free(&pixels);
}

/* A few kB of compressed text or profile that become 1, 16 and 256 MB: the pixels come all the
 * same. */
static void inflating(struct nasty *nasty)
{
	static const struct {
		const char *type, *head;
		size_t length;
	} kinds[] = {
		{"iCCP", "name\0", 6},
		{"zTXt", "Comment\0", 9},
		{"zTXt", "Raw profile type exif\0", 23},
		{"iTXt", "Comment\0\1\0\0\0", 12},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		for (size_t size = MEGABYTE; size <= 256 * MEGABYTE; size *= 16) {
			struct bytes stream = zlib_run(size, 'a'), data = {0};
			char what[32];

			bytes_add(&data, kinds[i].head, kinds[i].length);
			bytes_add(&data, stream.data, stream.size);
			snprintf(what, sizeof what, "bomb-%zu-%zu", i, size / MEGABYTE);
			with_chunks(nasty, kinds[i].type, &data, 1, WHOLE, what);
			with_chunks(nasty, kinds[i].type, &data, size > MEGABYTE ? 10 : 100, WHOLE,
				what);
			bytes_free(&data);
			bytes_free(&stream);
		}
}

static void many(struct nasty *nasty)
{
	static const char *const types[] = {"tEXt", "tIME", "hIST", "sPLT", "prVt", "eXIf", "gAMA"};
	struct bytes data = {0}, large = {0};

	bytes_add(&data, "Comment\0words", 13);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		with_chunks(nasty, types[i], &data, 900, EITHER, "many");
		with_chunks(nasty, types[i], &data, 1001, REFUSED, "many");
		with_chunks(nasty, types[i], &data, 100000, REFUSED, "many");
	}
	bytes_repeat(&large, data.data, data.size, 9 * MEGABYTE / data.size);
	with_chunks(nasty, "tEXt", &large, 1, WHOLE, "large");
	with_chunks(nasty, "IDAT", &(struct bytes){0}, 100000, EITHER, "empty");
	bytes_free(&data);
	bytes_free(&large);
}

/* Pixels that are too few, too many, no zlib stream, or wrongly filtered. */
static void pixels(struct nasty *nasty)
{
	uint32_t state = 3;

	for (unsigned i = 0; i < 600; i++) {
		struct bytes file = png_begin(), data = zlib_run(i, (uint8_t)(i % 7));

		if (i % 3 == 1)
			data.data[data.size - 1] ^= 1;
		if (i % 3 == 2)
			data.data[nasty_random(&state) % data.size] = (uint8_t)nasty_random(&state);
		png_add_header(&file, 16, 17, (uint8_t)(i % 5 ? 8 : 1), 0);
		png_add(&file, "IDAT", data.data, data.size);
		png_add(&file, "IEND", NULL, 0);
		nasty_show(nasty, &file, EITHER, "png-pixels-%u", i);
		bytes_free(&file);
		bytes_free(&data);
	}
}

/* Whatever is behind IEND is no part of the image. */
static void behind_the_end(struct nasty *nasty)
{
	struct bytes file = png_begin(), pixels = zlib_run(17, 0);
	uint32_t state = 5;

	png_add_header(&file, 16, 1, 8, 0);
	png_add(&file, "IDAT", pixels.data, pixels.size);
	png_add(&file, "IEND", NULL, 0);
	for (unsigned i = 0; i < 300; i++) {
		uint8_t noise = (uint8_t)(nasty_random(&state) >> 8);

		bytes_add(&file, &noise, 1);
		nasty_show(nasty, &file, WHOLE, "png-behind-the-end-%u", i);
	}
	bytes_free(&file);
	bytes_free(&pixels);
}

void nasty_png(struct nasty *nasty)
{
	behind_the_end(nasty);
	spoil_chunks(nasty);
	sizes(nasty);
	floods(nasty);
	inflating(nasty);
	many(nasty);
	pixels(nasty);
}
