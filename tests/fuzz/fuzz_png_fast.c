/*
 * The fast road against that of libpng alone: whatever the file, the same status, message, warning,
 * description and pixels. An input is not a file but what one is made of, so that most of what the
 * fuzzer tries is inflated and unfiltered.
 */
#include "fuzz.h"
#include "image.h"

#include <string.h>

#include <zlib.h>

enum {
	CHANGES_MAX = 3,
	FILE_MAX = 1 << 19,
	TALLER = 24, /* times as high: more than the window, so that it is inflated in pieces */
};

/* An input begins with this; the rest are rows, repeated as long as they are wanted. */
struct recipe {
	uint8_t options[IMAGE_OPTION_BYTES];
	uint8_t width, height, kind, interlaced;
	uint8_t pieces;  /* IDAT chunks; from 128 on, of a taller image */
	uint8_t level;   /* of compression */
	uint8_t excess;  /* less or more data than the image wants */
	uint8_t chunks;  /* others, before and behind */
	uint8_t colours; /* of a palette, less 1 */
	uint8_t mended;  /* the CRC of what was changed */
	uint8_t changes; /* how many of these */
	struct {
		uint8_t high, low, bits;
	} change[CHANGES_MAX];
};

struct file {
	uint8_t data[FILE_MAX];
	size_t size;
};

static void add(struct file *file, const void *data, size_t size)
{
	FUZZ_CHECK(size <= sizeof file->data - file->size);
	memcpy(file->data + file->size, data, size);
	file->size += size;
}

static void put_be32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void add_chunk(struct file *file, const char *type, const void *data, size_t size)
{
	uint8_t number[4];
	size_t start = file->size + 4;

	put_be32(number, (uint32_t)size);
	add(file, number, 4);
	add(file, type, 4);
	add(file, data, size);
	put_be32(number, (uint32_t)crc32(0, file->data + start, (uInt)size + 4));
	add(file, number, 4);
}

static size_t height_of(const struct recipe *recipe)
{
	return (recipe->height % 40 + 1U) * (recipe->pieces & 128 ? TALLER : 1);
}

static void add_pixels(struct file *file, const struct recipe *recipe, const uint8_t *rows,
	size_t size, unsigned bits)
{
	static uint8_t raw[1 << 19], packed[1 << 19];
	size_t width = recipe->width % 40 + 1, height = height_of(recipe);
	size_t row = 1 + (width * bits + 7) / 8, wanted = row * height, piece;
	uLongf packed_size = sizeof packed;

	if (recipe->excess % 8 == 1 && wanted > 1)
		wanted -= recipe->excess / 8 % wanted;
	if (recipe->excess % 8 == 2)
		wanted += recipe->excess / 8;
	FUZZ_CHECK(wanted <= sizeof raw);
	for (size_t i = 0; i < wanted; i++)
		raw[i] = size ? rows[i % size] : 0;
	/* filters that are none are tried, but not in each row */
	for (size_t i = 0; i < wanted; i += row)
		raw[i] = (uint8_t)(raw[i] == 5 ? 5 : raw[i] % 5);
	FUZZ_CHECK(compress2(packed, &packed_size, raw, wanted, recipe->level % 3) == Z_OK);
	piece = packed_size / (recipe->pieces % 4 + 1U) + 1;
	for (size_t at = 0; at < packed_size; at += piece)
		add_chunk(file, "IDAT", packed + at,
			packed_size - at < piece ? packed_size - at : piece);
}

static void make_file(
	struct file *file, const struct recipe *recipe, const uint8_t *rows, size_t size)
{
	static const uint8_t kinds[][3] = {{0, 8, 8}, {0, 16, 16}, {2, 8, 24}, {2, 16, 48},
		{3, 8, 8}, {4, 8, 16}, {4, 16, 32}, {6, 8, 32}, {6, 16, 64}, {0, 4, 4}, {3, 2, 2}};
	const uint8_t *kind = kinds[recipe->kind % (sizeof kinds / sizeof *kinds)];
	uint8_t header[13] = {[8] = kind[1], [9] = kind[0], [12] = recipe->interlaced == 1};
	unsigned colours = recipe->colours % (1U << (kind[1] < 8 ? kind[1] : 8)) + 1;
	uint8_t palette[768];

	for (size_t i = 0; i < sizeof palette; i++)
		palette[i] = (uint8_t)(i * 37 + recipe->colours);
	header[3] = recipe->width % 40 + 1;
	put_be32(header + 4, (uint32_t)height_of(recipe));
	add(file, "\x89PNG\r\n\x1a\n", 8);
	add_chunk(file, "IHDR", header, sizeof header);
	if (recipe->chunks & 1)
		add_chunk(file, "gAMA", "\0\0\xb1\x8f", 4);
	if (kind[0] == 3)
		add_chunk(file, "PLTE", palette, 3 * colours);
	if (recipe->chunks & 2)
		add_chunk(file, "tRNS", palette,
			kind[0] == 3   ? recipe->colours % colours + 1U
			: kind[0] == 2 ? 6
				       : 2);
	if (recipe->chunks & 4)
		add_chunk(file, "tEXt", "Comment\0before", 14);
	if (recipe->chunks & 8)
		add_chunk(file, "eXIf", "II*\0\x8\0\0\0\x1\0\x12\x1\x3\0\x1\0\0\0\x6\0\0\0\0\0\0\0",
			26);
	add_pixels(file, recipe, rows, size, kind[2]);
	if (recipe->chunks & 16)
		add_chunk(file, "zTXt", "Comment\0\0behind", 15);
	if (recipe->chunks & 32)
		add_chunk(file, "prVt", palette, 5);
	if (recipe->chunks & 64)
		add_chunk(file, "PLTE", palette, 3);
	add_chunk(file, "IEND", "", 0);
}

static void mend(struct file *file)
{
	for (size_t at = 8; file->size >= at + 12;) {
		size_t length = get_be32(file->data + at);

		if (length > file->size - at - 12)
			return;
		put_be32(file->data + at + 8 + length,
			(uint32_t)crc32(0, file->data + at + 4, (uInt)length + 4));
		at += length + 12;
	}
}

static void change(struct file *file, const struct recipe *recipe)
{
	for (unsigned i = 0; i < recipe->changes % (CHANGES_MAX + 1U); i++) {
		size_t at = (size_t)recipe->change[i].high << 8 | recipe->change[i].low;

		file->data[at % file->size] ^= recipe->change[i].bits;
	}
	if (recipe->mended & 1)
		mend(file);
	if (recipe->mended & 2)
		file->size -= (size_t)(recipe->mended >> 2) % file->size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct file file;
	struct recipe recipe;

	if (size < sizeof recipe)
		return 0;
	memcpy(&recipe, data, sizeof recipe);
	file.size = 0;
	make_file(&file, &recipe, data + sizeof recipe, size - sizeof recipe);
	change(&file, &recipe);
	fuzz_image_by_both(recipe.options, file.data, file.size);
	return 0;
}
