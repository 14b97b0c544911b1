#include "image/box_whole.h"

#include "image/box_lanes.h"

#include <stddef.h>

/* The loops are written once; called with constants, each becomes its own. */
#define INLINE VECTOR_INLINE

/* Two pixels, of which the one's samples stand beside the other's: the sums of colours by alpha, and
 * of alpha. */
INLINE u32x4 weigh8(u8x16 samples)
{
	const u16x8 pair = (u16x8)samples;
	const u16x8 alphas = (u16x8)VECTOR_SHUFFLE(u32x4, pair, pair, 3, 3, 3, 3);
	/* The weight of alpha itself is 1, or 0 where alpha is 0. */
	const u16x8 limits = {255, 255, 255, 255, 255, 255, 1, 1};

	return box_pairs(pair, box_smaller(alphas, limits));
}

/* Adds two pixels of each row to the first sum, the next two to the second. */
INLINE void add_rgba8(u32x4 sums[2], const uint8_t *upper, const uint8_t *lower)
{
	const u8x16 above = vector_load(upper), below = vector_load(lower), zero = {0};
	const u8x16 first = zip_first8(above, below), second = zip_second8(above, below);

	sums[0] += weigh8(zip_first8(first, zero)) + weigh8(zip_second8(first, zero));
	sums[1] += weigh8(zip_first8(second, zero)) + weigh8(zip_second8(second, zero));
}

INLINE i32x4 mean_sums8(u32x4 sums, unsigned scale)
{
	const u32x4 colours = {UINT32_MAX, UINT32_MAX, UINT32_MAX, 0};
	const u32x4 pixels = {0, 0, 0, scale * scale};

	return box_quotients(
		sums, (VECTOR_SHUFFLE(u32x4, sums, sums, 3, 3, 3, 3) & colours) | pixels);
}

INLINE uint32_t mean_rgba8(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale)
{
	const uint32_t done = squares / 2 * 2;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 2, means += 8) {
		u32x4 both[2] = {{0}, {0}};
		u8x16 made;

		if (scale == 2) {
			add_rgba8(both, rows[0] + at, rows[1] + at);
			at += 16;
		}
		for (unsigned i = 0; scale > 2 && i < 2; i++) {
			u32x4 sums[2] = {{0}, {0}};

			for (unsigned k = 0; k < scale; k += 4, at += 16)
				for (unsigned y = 0; y < scale; y += 2)
					add_rgba8(sums, rows[y] + at, rows[y + 1] + at);
			both[i] = sums[0] + sums[1];
		}
		made = box_pack(mean_sums8(both[0], scale), mean_sums8(both[1], scale));
		memcpy(means, &made, 8);
	}
	return done;
}

/* Four squares are scale / 2 vectors of a row, which are folded into one. */
INLINE uint32_t mean_grey_alpha8(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale)
{
	const u16x8 ones = {1, 1, 1, 1, 1, 1, 1, 1};
	const uint32_t done = squares / 4 * 4;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 4, means += 8) {
		u32x4 sums[4], weights[4];
		u8x16 made;

		for (unsigned i = 0; i < scale / 2; i++, at += 16) {
			u16x8 alphas = {0};

			sums[i] = (u32x4){0};
			for (unsigned y = 0; y < scale; y++) {
				const u16x8 pixels = (u16x8)vector_load(rows[y] + at);

				sums[i] += box_pairs(pixels & 255, pixels >> 8);
				alphas += pixels >> 8;
			}
			weights[i] = box_pairs(alphas, ones);
		}
		for (unsigned left = scale / 4; left > 0; left /= 2) {
			for (unsigned i = 0; i < left; i++) {
				sums[i] = box_fold(sums[2 * i], sums[2 * i + 1]);
				weights[i] = box_fold(weights[2 * i], weights[2 * i + 1]);
			}
		}
		made = box_pack(box_quotients(sums[0], weights[0]),
			(i32x4)((weights[0] + scale * scale / 2) / (scale * scale)));
		made = zip_first8(made, (u8x16)((u64x2)made >> 32));
		memcpy(means, &made, 8);
	}
	return done;
}

/* The low half of each of two 64-bit lanes. */
INLINE void store_halves(uint8_t *to, u64x2 lanes)
{
	const u32x4 halves = VECTOR_SHUFFLE(u32x4, lanes, lanes, 0, 2, 0, 2);

	memcpy(to, &halves, 8);
}

/* Two squares are scale / 2 vectors of a row. */
INLINE uint32_t mean_grey_alpha16(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale, bool swapped)
{
	const uint32_t done = squares / 2 * 2;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 2, means += 8) {
		u64x2 sums[4], weights[4], alpha;

		for (unsigned i = 0; i < scale / 2; i++, at += 16) {
			u32x4 both = {0};

			sums[i] = (u64x2){0};
			for (unsigned y = 0; y < scale; y++) {
				const u32x4 pixels = (u32x4)box_load16(rows[y] + at, swapped);
				const u32x4 greys = pixels & 0xffff, alphas = pixels >> 16;

				sums[i] += box_products(greys, alphas) +
					   box_products((u32x4)((u64x2)greys >> 32),
						   (u32x4)((u64x2)alphas >> 32));
				both += alphas;
			}
			weights[i] = ((u64x2)both & UINT32_MAX) + ((u64x2)both >> 32);
		}
		for (unsigned left = scale / 4; left > 0; left /= 2) {
			for (unsigned i = 0; i < left; i++) {
				sums[i] = box_fold64(sums[2 * i], sums[2 * i + 1]);
				weights[i] = box_fold64(weights[2 * i], weights[2 * i + 1]);
			}
		}
		alpha = (weights[0] + scale * scale / 2) / (scale * scale);
		store_halves(means, box_means(sums[0], box_reciprocals(weights[0])) | alpha << 16);
	}
	return done;
}

/* Adds a pixel: red and blue by alpha; green by alpha, and alpha. */
INLINE void add_rgba16(u64x2 sums[2], u8x16 samples)
{
	const u32x4 pixel = (u32x4)samples, ones = {1, 1, 1, 1};
	const u32x4 alphas = VECTOR_SHUFFLE(u32x4, pixel, pixel, 3, 3, 3, 3);

	sums[0] += box_products(pixel, alphas);
	sums[1] += box_products(
		(u32x4)((u64x2)pixel >> 32), (u32x4)VECTOR_SHUFFLE(u64x2, alphas, ones, 0, 2));
}

INLINE uint32_t mean_rgba16(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale, bool swapped)
{
	const uint32_t done = squares / 2 * 2;
	const f64x2 share = {1.0 / (scale * scale), 1.0 / (scale * scale)};
	const u8x16 zero = {0};
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 2) {
		u64x2 sums[2][2] = {{{0}, {0}}, {{0}, {0}}};
		f64x2 shares;

		for (unsigned i = 0; i < 2; i++) {
			for (unsigned k = 0; k < scale; k += 2, at += 16) {
				for (unsigned y = 0; y < scale; y++) {
					const u16x8 pixels = box_load16(rows[y] + at, swapped);

					add_rgba16(
						sums[i], (u8x16)VECTOR_SHUFFLE(u16x8, pixels, zero,
								 0, 8, 1, 9, 2, 10, 3, 11));
					add_rgba16(
						sums[i], (u8x16)VECTOR_SHUFFLE(u16x8, pixels, zero,
								 4, 12, 5, 13, 6, 14, 7, 15));
				}
			}
		}
		shares = box_reciprocals(VECTOR_SHUFFLE(u64x2, sums[0][1], sums[1][1], 1, 3));
		for (unsigned i = 0; i < 2; i++, means += 8) {
			const f64x2 of_colours =
				i == 0 ? (f64x2)VECTOR_SHUFFLE(u64x2, shares, shares, 0, 0)
				       : (f64x2)VECTOR_SHUFFLE(u64x2, shares, shares, 1, 1);
			const f64x2 mixed = (f64x2)VECTOR_SHUFFLE(u64x2, of_colours, share, 0, 2);

			store_halves(means, box_means(sums[i][0], of_colours) |
						    box_means(sums[i][1], mixed) << 16);
		}
	}
	return done;
}

INLINE uint32_t mean16(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale, bool swapped)
{
	if (box->channels == 4)
		return mean_rgba16(rows, squares, means, scale, swapped);
	return mean_grey_alpha16(rows, squares, means, scale, swapped);
}

INLINE uint32_t mean(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	if (box->bits == 8)
		return box->channels == 4 ? mean_rgba8(rows, squares, means, scale)
					  : mean_grey_alpha8(rows, squares, means, scale);
	if (box->swapped)
		return mean16(box, rows, squares, means, scale, true);
	return mean16(box, rows, squares, means, scale, false);
}

uint32_t box_alpha(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	/* Samples are taken for the low and the high bytes of lanes. */
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return 0;
	return BOX_BY_SCALE(mean, box, rows, means);
}
