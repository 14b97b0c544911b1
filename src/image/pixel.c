#include "image/pixel.h"

#include <string.h>

/* The loops are written once for all pixel sizes; called with a constant, each becomes its own. */
#define INLINE static inline __attribute__((always_inline))

#define FOR_PIXEL_SIZE(size, call) \
	switch (size) {            \
	case 1:                    \
		call(1);           \
		break;             \
	case 2:                    \
		call(2);           \
		break;             \
	case 3:                    \
		call(3);           \
		break;             \
	case 4:                    \
		call(4);           \
		break;             \
	case 6:                    \
		call(6);           \
		break;             \
	case 8:                    \
		call(8);           \
		break;             \
	}

INLINE void turn(const struct pixel_block *block, size_t size)
{
	ptrdiff_t step = (ptrdiff_t)block->source_stride;
	const uint8_t *first = block->source;
	uint8_t *target = block->target;

	if (block->backward) {
		first += (block->rows - 1) * block->source_stride;
		step = -step;
	}
	for (uint32_t x = 0; x < block->width; x++) {
		const uint8_t *source = first + x * size;

		for (uint32_t y = 0; y < block->rows; y++) {
			memcpy(target + y * size, source, size);
			source += step;
		}
		target += block->target_stride;
	}
}

void pixel_turn(const struct pixel_block *block, size_t size){
#define TURN(constant) turn(block, constant)
	FOR_PIXEL_SIZE(size, TURN)
#undef TURN
}

INLINE void mirror(uint8_t *row, uint32_t width, size_t size)
{
	uint8_t *left = row, *right = row + width * size, kept[8];

	for (uint32_t i = 0; i < width / 2; i++, left += size) {
		right -= size;
		memcpy(kept, left, size);
		memcpy(left, right, size);
		memcpy(right, kept, size);
	}
}

void pixel_mirror(uint8_t *row, uint32_t width, size_t size)
{
#define MIRROR(constant) mirror(row, width, constant)
	FOR_PIXEL_SIZE(size, MIRROR)
#undef MIRROR
}

/* round(product / 255) for products of two bytes */
static inline uint8_t over_255(unsigned product)
{
	product += 128;
	return (uint8_t)((product + (product >> 8)) >> 8);
}

static void premultiply16(uint16_t *row, uint32_t width, unsigned channels)
{
	for (; width > 0; width--, row += channels) {
		uint64_t alpha = row[channels - 1];

		for (unsigned i = 0; i + 1 < channels; i++)
			row[i] = (uint16_t)((row[i] * alpha + 32767) / 65535);
	}
}

static void premultiply8(uint8_t *row, uint32_t width, unsigned channels)
{
	for (; width > 0; width--, row += channels) {
		unsigned alpha = row[channels - 1];

		for (unsigned i = 0; i + 1 < channels; i++)
			row[i] = over_255(row[i] * alpha);
	}
}

void pixel_premultiply(uint8_t *row, uint32_t width, unsigned channels, unsigned bits)
{
	if (channels != 2 && channels != 4)
		return;
	if (bits == 16)
		premultiply16((uint16_t *)(void *)row, width, channels);
	else
		premultiply8(row, width, channels);
}

/* Below 2^24, where the quotient as a float cannot round up to a whole number. */
static inline uint8_t quotient8(unsigned product, unsigned alpha)
{
	unsigned whole = (unsigned)((float)product / (float)alpha);

	return (uint8_t)(whole > 255 ? 255 : whole);
}

static void unpremultiply8(uint8_t *row, uint32_t width, unsigned channels)
{
	for (; width > 0; width--, row += channels) {
		unsigned alpha = row[channels - 1];

		if (alpha == 0 || alpha == 255)
			continue;
		for (unsigned i = 0; i + 1 < channels; i++)
			row[i] = quotient8(row[i] * 255U, alpha);
	}
}

static void unpremultiply16(uint16_t *row, uint32_t width, unsigned channels)
{
	for (; width > 0; width--, row += channels) {
		uint64_t alpha = row[channels - 1];

		if (alpha == 0 || alpha == 65535)
			continue;
		for (unsigned i = 0; i + 1 < channels; i++) {
			uint64_t whole = row[i] * UINT64_C(65535) / alpha;

			row[i] = (uint16_t)(whole > 65535 ? 65535 : whole);
		}
	}
}

void pixel_unpremultiply(uint8_t *row, uint32_t width, unsigned channels, unsigned bits)
{
	if (channels != 2 && channels != 4)
		return;
	if (bits == 16)
		unpremultiply16((uint16_t *)(void *)row, width, channels);
	else
		unpremultiply8(row, width, channels);
}

/* Of samples of up to 16 bits. */
static inline unsigned luma(unsigned red, unsigned green, unsigned blue)
{
	return (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16;
}

void pixel_luma(uint8_t *row, uint32_t width, unsigned bits)
{
	uint16_t *row16 = (uint16_t *)(void *)row;

	for (size_t i = 0; bits == 16 && i < width; i++)
		row16[i] = (uint16_t)luma(row16[3 * i], row16[3 * i + 1], row16[3 * i + 2]);
	for (size_t i = 0; bits == 8 && i < width; i++)
		row[i] = (uint8_t)luma(row[3 * i], row[3 * i + 1], row[3 * i + 2]);
}

void pixel_cmyk(const uint8_t *cmyk, uint8_t *row, uint32_t width, unsigned channels, bool bgr)
{
	for (; width > 0; width--, cmyk += 4, row += channels) {
		uint8_t red = over_255(cmyk[0] * cmyk[3]), green = over_255(cmyk[1] * cmyk[3]),
			blue = over_255(cmyk[2] * cmyk[3]);

		if (channels == 1) {
			row[0] = (uint8_t)luma(red, green, blue);
			continue;
		}
		row[0] = bgr ? blue : red;
		row[1] = green;
		row[2] = bgr ? red : blue;
		if (channels == 4)
			row[3] = 255;
	}
}

INLINE uint64_t sample(const uint8_t *row, size_t i, unsigned bits)
{
	return bits == 16 ? ((const uint16_t *)(const void *)row)[i] : row[i];
}

INLINE void box_add(uint64_t *sums, const uint8_t *row, uint32_t width, unsigned scale,
	unsigned channels, unsigned bits)
{
	bool alpha = channels == 2 || channels == 4;
	unsigned colours = alpha ? channels - 1 : channels;
	size_t at = 0;

	for (uint32_t left = 0; left < width; left += scale, sums += channels) {
		unsigned across = width - left < scale ? width - left : scale;
		uint64_t part[4] = {0};

		for (; across > 0; across--, at += channels) {
			uint64_t weight = alpha ? sample(row, at + colours, bits) : 1;

			for (unsigned i = 0; i < colours; i++)
				part[i] += sample(row, at + i, bits) * weight;
			if (alpha)
				part[colours] += weight;
		}
		for (unsigned i = 0; i < channels; i++)
			sums[i] += part[i];
	}
}

#define BOX_ADD(channels, bits)                                                     \
	static void box_add_##channels##_##bits(                                    \
		uint64_t *sums, const uint8_t *row, uint32_t width, unsigned scale) \
	{                                                                           \
		box_add(sums, row, width, scale, channels, bits);                   \
	}

BOX_ADD(1, 8)
BOX_ADD(2, 8)
BOX_ADD(3, 8)
BOX_ADD(4, 8)
BOX_ADD(1, 16)
BOX_ADD(2, 16)
BOX_ADD(3, 16)
BOX_ADD(4, 16)

/* An inner loop of constant length is what compilers make vectors of. */
enum {
	LANES = 32
};

/* 8 bits without alpha: rows are added up as they are, column by column; eight rows of 255 fit 16 bits. */
static bool is_light(unsigned channels, unsigned bits)
{
	return bits == 8 && channels % 2 == 1;
}

static void light_add(uint16_t *restrict columns, const uint8_t *restrict row, size_t samples)
{
	size_t i = 0;

	for (; samples - i >= LANES; i += LANES)
		for (unsigned k = 0; k < LANES; k++)
			columns[i + k] = (uint16_t)(columns[i + k] + row[i + k]);
	for (; i < samples; i++)
		columns[i] = (uint16_t)(columns[i] + row[i]);
}

INLINE void light_mean(uint16_t *columns, uint8_t *row, uint32_t width, unsigned height,
	unsigned scale, unsigned channels)
{
	const uint32_t whole = width / scale;
	const uint16_t *from = columns;
	uint32_t weight = height * scale;

	for (uint32_t x = 0; x < whole; x++, from += scale * channels, row += channels) {
		for (unsigned i = 0; i < channels; i++) {
			uint32_t sum = weight / 2;

			for (unsigned k = 0; k < scale; k++)
				sum += from[k * channels + i];
			row[i] = (uint8_t)(height == scale ? sum / (scale * scale) : sum / weight);
		}
	}
	weight = height * (width - whole * scale);
	for (unsigned i = 0; weight && i < channels; i++) {
		uint32_t sum = weight / 2;

		for (unsigned k = 0; k < width - whole * scale; k++)
			sum += from[k * channels + i];
		row[i] = (uint8_t)(sum / weight);
	}
	memset(columns, 0, (size_t)width * channels * sizeof *columns);
}

static void light_mean_of(uint16_t *columns, uint8_t *row, uint32_t width, unsigned height,
	unsigned scale, unsigned channels)
{
	switch (scale * 10 + channels) {
	case 21:
		light_mean(columns, row, width, height, 2, 1);
		break;
	case 23:
		light_mean(columns, row, width, height, 2, 3);
		break;
	case 41:
		light_mean(columns, row, width, height, 4, 1);
		break;
	case 43:
		light_mean(columns, row, width, height, 4, 3);
		break;
	default:
		light_mean(columns, row, width, height, scale, channels);
	}
}

void pixel_box_add(uint64_t *sums, const uint8_t *row, uint32_t width, unsigned scale,
	unsigned channels, unsigned bits)
{
	static void (*const instances[2][4])(uint64_t *, const uint8_t *, uint32_t, unsigned) = {
		{box_add_1_8, box_add_2_8, box_add_3_8, box_add_4_8},
		{box_add_1_16, box_add_2_16, box_add_3_16, box_add_4_16},
	};

	if (is_light(channels, bits)) {
		light_add((uint16_t *)(void *)sums, row, (size_t)width * channels);
		return;
	}
	instances[bits == 16][channels - 1](sums, row, width, scale);
}

static void put_sample(uint8_t *row, size_t i, unsigned bits, uint64_t value)
{
	if (bits == 16)
		((uint16_t *)(void *)row)[i] = (uint16_t)value;
	else
		row[i] = (uint8_t)value;
}

/* round(sum / weight); most weights are powers of two, and division is slow. */
static uint64_t mean(uint64_t sum, uint64_t weight)
{
	sum += weight / 2;
	if ((weight & (weight - 1)) == 0)
		return weight ? sum >> __builtin_ctzll(weight) : 0;
	return sum / weight;
}

void pixel_box_mean(uint64_t *sums, uint8_t *row, uint32_t width, unsigned height, unsigned scale,
	unsigned channels, unsigned bits)
{
	bool alpha = channels == 2 || channels == 4;
	unsigned colours = alpha ? channels - 1 : channels;
	size_t at = 0;

	if (is_light(channels, bits)) {
		light_mean_of((uint16_t *)(void *)sums, row, width, height, scale, channels);
		return;
	}
	for (uint32_t left = 0; left < width; left += scale, at += channels) {
		unsigned across = width - left < scale ? width - left : scale;
		uint64_t pixels = (uint64_t)across * height;
		uint64_t weight = alpha ? sums[at + colours] : pixels;

		for (unsigned i = 0; i < colours; i++)
			put_sample(row, at + i, bits, mean(sums[at + i], weight));
		if (alpha)
			put_sample(row, at + colours, bits, mean(weight, pixels));
		memset(sums + at, 0, channels * sizeof *sums);
	}
}
