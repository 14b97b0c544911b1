#include "image/png_convert.h"

#include "image/pixel.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
	LANES = 32
};

/* Samples come with the high byte first. */
INLINE uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* round(sample x 255 / 65535), as png_set_scale_16 has it */
INLINE uint8_t scale16(uint16_t sample)
{
	return (uint8_t)((sample * 255U + 32895) >> 16);
}

/* An inner loop of constant length becomes vectors. */
#define EACH_SAMPLE(target, row, samples, change)                                  \
	do {                                                                       \
		size_t i = 0;                                                      \
                                                                                   \
		for (; samples - i >= LANES; i += LANES)                           \
			for (size_t k = 0; k < LANES; k++)                         \
				target[i + k] = change(read16(row + 2 * (i + k))); \
		for (; i < samples; i++)                                           \
			target[i] = change(read16(row + 2 * i));                   \
	} while (0)

static void to_native(uint16_t *restrict target, const uint8_t *restrict row, size_t samples)
{
	EACH_SAMPLE(target, row, samples, );
}

static void to_8_bits(uint8_t *restrict target, const uint8_t *restrict row, size_t samples)
{
	EACH_SAMPLE(target, row, samples, scale16);
}

/* Other channels, with `size` bytes a sample; grey from colours is made of RGB afterwards. */
INLINE void map(const uint8_t *row, uint8_t *target, uint32_t width, unsigned from, unsigned to,
	size_t size, bool bgr)
{
	const bool alpha = from % 2 == 0;

	for (; width > 0; width--, row += from * size, target += to * size) {
		for (unsigned i = 0; i < (to >= 3 ? 3U : 1U); i++) {
			unsigned source = from <= 2 ? 0 : bgr ? 2 - i : i;

			memcpy(target + i * size, row + source * size, size);
		}
		if (to % 2 == 0 && alpha)
			memcpy(target + (to - 1) * size, row + (from - 1) * size, size);
		else if (to % 2 == 0)
			memset(target + (to - 1) * size, 0xff, size);
	}
}

#define MAP(from, to)                                                                       \
	static void map_##from##_##to(                                                      \
		const uint8_t *row, uint8_t *target, uint32_t width, size_t size, bool bgr) \
	{                                                                                   \
		if (size == 2 && bgr)                                                       \
			map(row, target, width, from, to, 2, true);                         \
		else if (size == 2)                                                         \
			map(row, target, width, from, to, 2, false);                        \
		else if (bgr)                                                               \
			map(row, target, width, from, to, 1, true);                         \
		else                                                                        \
			map(row, target, width, from, to, 1, false);                        \
	}

MAP(1, 1)
MAP(1, 2)
MAP(1, 3)
MAP(1, 4)
MAP(2, 1)
MAP(2, 2)
MAP(2, 3)
MAP(2, 4)
MAP(3, 3)
MAP(3, 4)
MAP(4, 3)
MAP(4, 4)

static void map_row(unsigned from, unsigned to, const uint8_t *row, uint8_t *target, uint32_t width,
	size_t size, bool bgr)
{
	static void (*const maps[4][4])(const uint8_t *, uint8_t *, uint32_t, size_t, bool) = {
		{map_1_1, map_1_2, map_1_3, map_1_4},
		{map_2_1, map_2_2, map_2_3, map_2_4},
		{NULL, NULL, map_3_3, map_3_4},
		{NULL, NULL, map_4_3, map_4_4},
	};

	maps[from - 1][to - 1](row, target, width, size, bgr);
}

/* A pixel of three bytes is written with one of the next, as four bytes are a single write. */
INLINE void look_up_each(const uint8_t (*palette)[4], const uint8_t *row, uint8_t *target,
	uint32_t width, size_t channels)
{
	const size_t written = channels == 3 ? 4 : channels;
	uint32_t x = 0;

	for (; x + 1 < width; x++)
		memcpy(target + x * channels, palette[row[x]], written);
	memcpy(target + x * channels, palette[row[x]], channels);
}

/* From a palette; grey is made in the palette. */
static void look_up(
	const struct png_convert *convert, const uint8_t *row, uint8_t *target, uint32_t width)
{
	const uint8_t(*palette)[4] = convert->palette;

	if (convert->channels == 1)
		look_up_each(palette, row, target, width, 1);
	else if (convert->channels == 2)
		look_up_each(palette, row, target, width, 2);
	else if (convert->channels == 3)
		look_up_each(palette, row, target, width, 3);
	else
		look_up_each(palette, row, target, width, 4);
}

static bool keeps_channels(const struct png_convert *convert)
{
	return convert->from_channels == convert->channels &&
	       (convert->channels < 3 || !convert->bgr);
}

bool png_convert_is_nothing(const struct png_convert *convert)
{
	return !convert->palette && convert->from_bits == 8 && keeps_channels(convert);
}

bool png_convert_is_order(const struct png_convert *convert)
{
	return !convert->palette && convert->from_bits == 16 && convert->bits == 16 &&
	       keeps_channels(convert);
}

void png_convert_row(const struct png_convert *convert, const uint8_t *restrict row,
	uint8_t *restrict work, uint8_t *restrict target, uint32_t width)
{
	size_t samples = (size_t)width * convert->from_channels, size = convert->bits / 8;
	uint8_t *samples_to = keeps_channels(convert) ? target : work;
	uint8_t *colours = work + (size_t)width * 8;

	if (convert->palette) {
		look_up(convert, row, target, width);
		return;
	}
	if (convert->bits == 16)
		to_native((uint16_t *)(void *)samples_to, row, samples);
	else if (convert->from_bits == 16)
		to_8_bits(samples_to, row, samples);
	else if (keeps_channels(convert))
		memcpy(target, row, samples);
	if (keeps_channels(convert))
		return;
	if (convert->from_bits == 16)
		row = work;
	if (convert->channels >= 3 || convert->from_channels <= 2) {
		map_row(convert->from_channels, convert->channels, row, target, width, size,
			convert->bgr);
		return;
	}
	/* grey of colours */
	map_row(convert->from_channels, 3, row, colours, width, size, false);
	pixel_luma(colours, width, convert->bits);
	memcpy(target, colours, width * size);
}
