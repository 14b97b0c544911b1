#include "image/box_whole.h"

#include "image/box_lanes.h"

#include <stddef.h>

/* The loops are written once; called with constants, each becomes its own. */
#define INLINE VECTOR_INLINE

enum {
	LANES = 32, /* an inner loop of constant length becomes vectors */
	PART = 64,  /* pixels of a row that are added up before their means are taken */
};

/* The sums of neighbours. */
INLINE u16x8 pairs8(const uint8_t *row)
{
	const u16x8 pixels = (u16x8)vector_load(row);

	return (pixels & 255) + (pixels >> 8);
}

INLINE uint32_t halve_grey8(const uint8_t *const *rows, uint32_t squares, uint8_t *means)
{
	const uint32_t done = squares / 16 * 16;

	for (size_t x = 0; x < done; x += 16) {
		const u16x8 first = pairs8(rows[0] + 2 * x) + pairs8(rows[1] + 2 * x);
		const u16x8 second = pairs8(rows[0] + 2 * x + 16) + pairs8(rows[1] + 2 * x + 16);
		const u8x16 made = VECTOR_SHUFFLE(u8x16, (first + 2) >> 2, (second + 2) >> 2, 0, 2,
			4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);

		memcpy(means + x, &made, 16);
	}
	return done;
}

/* Four squares, which are scale / 4 vectors of a row. */
INLINE u32x4 sum_grey8(const uint8_t *const *rows, size_t at, unsigned scale)
{
	u32x4 sums[2];

	for (unsigned i = 0; i < scale / 4; i++, at += 16) {
		u16x8 two = pairs8(rows[0] + at);

		for (unsigned y = 1; y < scale; y++)
			two += pairs8(rows[y] + at);
		sums[i] = ((u32x4)two & 0xffff) + ((u32x4)two >> 16);
	}
	return scale == 4 ? sums[0] : box_fold(sums[0], sums[1]);
}

INLINE uint32_t mean_grey8(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale)
{
	const uint32_t done = squares / 8 * 8, pixels = scale * scale;

	for (size_t x = 0; x < done; x += 8) {
		const u32x4 first = sum_grey8(rows, x * scale, scale);
		const u32x4 second = sum_grey8(rows, (x + 4) * scale, scale);
		const u8x16 made = box_pack((i32x4)((first + pixels / 2) / pixels),
			(i32x4)((second + pixels / 2) / pixels));

		memcpy(means + x, &made, 8);
	}
	return done;
}

INLINE uint8_t value8(uint8_t sample, bool swapped)
{
	(void)swapped;
	return sample;
}

INLINE uint16_t value16(uint16_t sample, bool swapped)
{
	return swapped ? (uint16_t)(sample << 8 | sample >> 8) : sample;
}

/* Of three channels at 1/2, from two rows: the sums of all neighbours are taken, as vectors, and
 * those across two squares left out. A pixel is written with a byte of the next one. */
INLINE void halve_rgb8(const uint16_t *sums, uint32_t squares, uint8_t *row)
{
	for (; squares > 0; squares -= 16, sums += 96) {
		uint8_t means[96];

		for (unsigned i = 0; i < 96; i++)
			means[i] = (uint8_t)((uint16_t)(sums[i] + sums[i + 3] + 2) / 4);
		for (unsigned i = 0; i < 16; i++, row += 3)
			memcpy(row, means + i * 6, 4);
	}
}

#define PLAIN(bits, sample, column)                                                               \
	INLINE column sum_of##bits(column sum, sample upper, sample lower, bool swapped)          \
	{                                                                                         \
		return (column)(sum + value##bits(upper, swapped) + value##bits(lower, swapped)); \
	}                                                                                         \
                                                                                                  \
	INLINE void add_rows##bits(column *restrict sums, const sample *restrict upper,           \
		const sample *restrict lower, size_t samples, bool first, bool swapped)           \
	{                                                                                         \
		size_t i = 0;                                                                     \
                                                                                                  \
		for (; samples - i >= LANES; i += LANES)                                          \
			for (unsigned k = 0; k < LANES; k++)                                      \
				sums[i + k] = sum_of##bits(first ? 0 : sums[i + k], upper[i + k], \
					lower[i + k], swapped);                                   \
		for (; i < samples; i++)                                                          \
			sums[i] = sum_of##bits(first ? 0 : sums[i], upper[i], lower[i], swapped); \
	}                                                                                         \
                                                                                                  \
	INLINE void mean_columns##bits(const column *sums, uint32_t squares, sample *means,       \
		unsigned scale, unsigned channels)                                                \
	{                                                                                         \
		for (; squares > 0; squares--, sums += scale * channels) {                        \
			for (unsigned i = 0; i < channels; i++) {                                 \
				uint32_t sum = scale * scale / 2;                                 \
                                                                                                  \
				for (unsigned k = 0; k < scale; k++)                              \
					sum += sums[k * channels + i];                            \
				*means++ = (sample)(sum / (scale * scale));                       \
			}                                                                         \
		}                                                                                 \
	}                                                                                         \
                                                                                                  \
	INLINE uint32_t mean_plain##bits(const uint8_t *const *rows, uint32_t squares,            \
		uint8_t *bytes, unsigned scale, unsigned channels, bool swapped)                  \
	{                                                                                         \
		sample *means = (sample *)(void *)bytes;                                          \
		column sums[PART * 3 + 3];                                                        \
		size_t at = 0;                                                                    \
                                                                                                  \
		memset(sums + PART * 3, 0, 3 * sizeof *sums);                                     \
		for (uint32_t left = squares; left > 0;) {                                        \
			const uint32_t some = left < PART / scale ? left : PART / scale;          \
			const size_t samples = (size_t)some * scale * channels;                   \
                                                                                                  \
			add_rows##bits(sums, (const sample *)(const void *)rows[0] + at,          \
				(const sample *)(const void *)rows[1] + at, samples, true,        \
				swapped);                                                         \
			for (unsigned y = 2; y < scale; y += 2)                                   \
				add_rows##bits(sums, (const sample *)(const void *)rows[y] + at,  \
					(const sample *)(const void *)rows[y + 1] + at, samples,  \
					false, swapped);                                          \
			if (bits == 8 && scale == 2 && channels == 3 && left > PART / scale)      \
				halve_rgb8((const uint16_t *)(const void *)sums, some,            \
					(uint8_t *)(void *)means);                                \
			else                                                                      \
				mean_columns##bits(sums, some, means, scale, channels);           \
			means += some * channels;                                                 \
			at += samples;                                                            \
			left -= some;                                                             \
		}                                                                                 \
		return squares;                                                                   \
	}

PLAIN(8, uint8_t, uint16_t)
PLAIN(16, uint16_t, uint32_t)

INLINE uint32_t mean8(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	if (box->channels == 3)
		return mean_plain8(rows, squares, means, scale, 3, false);
	/* Which bytes are taken depends on their order. */
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return mean_plain8(rows, squares, means, scale, 1, false);
	return scale == 2 ? halve_grey8(rows, squares, means)
			  : mean_grey8(rows, squares, means, scale);
}

INLINE uint32_t mean16(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale, bool swapped)
{
	if (box->channels == 3)
		return mean_plain16(rows, squares, means, scale, 3, swapped);
	return mean_plain16(rows, squares, means, scale, 1, swapped);
}

INLINE uint32_t mean(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	if (box->bits == 8)
		return mean8(box, rows, squares, means, scale);
	if (box->swapped)
		return mean16(box, rows, squares, means, scale, true);
	return mean16(box, rows, squares, means, scale, false);
}

uint32_t box_plain(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	return BOX_BY_SCALE(mean, box, rows, means);
}
