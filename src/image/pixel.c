#include "image/pixel.h"

#include "image/vectors.h"

/* The loops are written once for all pixel sizes; called with a constant, each becomes its own. */
#define INLINE VECTOR_INLINE

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

/* Samples by the alpha of their pixel; alpha itself by 255, which leaves it. */
INLINE u16x8 times_alpha(u16x8 samples, unsigned channels)
{
	const u16x8 ones4 = {0, 0, 0, 255, 0, 0, 0, 255}, ones2 = {0, 255, 0, 255, 0, 255, 0, 255};
	const u16x8 alphas4 = VECTOR_SHUFFLE(u16x8, samples, samples, 3, 3, 3, 3, 7, 7, 7, 7);
	const u16x8 alphas2 = VECTOR_SHUFFLE(u16x8, samples, samples, 1, 1, 3, 3, 5, 5, 7, 7);
	u16x8 products = samples * (channels == 4 ? alphas4 | ones4 : alphas2 | ones2);

	products += 128;
	return (products + (products >> 8)) >> 8;
}

/* Sixteen bytes at a time; returns how many pixels are done. */
INLINE uint32_t premultiply_blocks(uint8_t *row, uint32_t width, unsigned channels)
{
	const uint32_t block = 16 / channels;
	const u8x16 zero = {0};
	uint32_t done = 0;

	/* Bytes become the low halves of lanes. */
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return 0;
	for (; width - done >= block; done += block, row += 16) {
		const u8x16 bytes = vector_load(row);
		const u16x8 first = times_alpha((u16x8)zip_first8(bytes, zero), channels);
		const u16x8 second = times_alpha((u16x8)zip_second8(bytes, zero), channels);

		vector_store(row, VECTOR_SHUFFLE(u8x16, first, second, 0, 2, 4, 6, 8, 10, 12, 14,
					  16, 18, 20, 22, 24, 26, 28, 30));
	}
	return done;
}

static void premultiply8(uint8_t *row, uint32_t width, unsigned channels)
{
	const uint32_t done = channels == 4 ? premultiply_blocks(row, width, 4)
					    : premultiply_blocks(row, width, 2);

	row += (size_t)done * channels;
	for (width -= done; width > 0; width--, row += channels) {
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
