#include "image/box_whole.h"

#if defined(__x86_64__)

#include "image/box_avx2.h"

#include <string.h>

#define INLINE AVX2_INLINE

bool box_has_avx2(const struct box *box)
{
	const bool alpha = box->channels % 2 == 0;

	return (alpha || (box->channels == 3 && box->bits == 8)) && __builtin_cpu_supports("avx2");
}

/* ---- RGB of 8 bits: reads four bytes too many, and writes two ---- */

/* Four pixels: the sums of two neighbours each, in the order that `order` gives. */
INLINE __m128i pairs_rgb8(const uint8_t *row, __m128i order)
{
	return _mm_maddubs_epi16(_mm_shuffle_epi8(avx2_load16(row), order), _mm_set1_epi8(1));
}

INLINE uint32_t halve_rgb8(const uint8_t *const *rows, uint32_t squares, uint8_t *means)
{
	const __m128i order = _mm_setr_epi8(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, -1, -1, -1, -1);
	uint32_t x = 0;

	for (; x + 3 <= squares; x += 2) {
		const __m128i sums = _mm_add_epi16(pairs_rgb8(rows[0] + x * (size_t)6, order),
			pairs_rgb8(rows[1] + x * (size_t)6, order));
		const __m128i words = _mm_srli_epi16(_mm_add_epi16(sums, _mm_set1_epi16(2)), 2);

		_mm_storel_epi64((void *)(means + x * (size_t)3), _mm_packus_epi16(words, words));
	}
	return x;
}

INLINE uint32_t mean_rgb8(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale)
{
	const __m128i order = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
	const __m128i half = _mm_set1_epi32((int)(scale * scale / 2));
	size_t at = 0;
	uint32_t x = 0;

	for (; x + 2 <= squares; x++, means += 3) {
		__m128i sums = _mm_setzero_si128();
		int bytes;

		for (unsigned k = 0; k < scale; k += 4, at += 12)
			for (unsigned y = 0; y < scale; y++)
				sums = _mm_add_epi16(sums, pairs_rgb8(rows[y] + at, order));
		sums = _mm_add_epi32(_mm_madd_epi16(sums, _mm_set1_epi16(1)), half);
		sums = _mm_srli_epi32(sums, scale == 4 ? 4 : 6);
		sums = _mm_packs_epi32(sums, sums);
		bytes = _mm_cvtsi128_si32(_mm_packus_epi16(sums, sums));
		memcpy(means, &bytes, 4);
	}
	return x;
}

/* ---- grey with alpha, of 8 bits ---- */

/* round(sum / weight), as box_quotients; but 0 / 0 is no number, becomes the lowest, and that a 0 when
 * it is packed. */
INLINE __m256i quotients8(__m256i sums, __m256i weights)
{
	const __m256i rounded = _mm256_add_epi32(sums, _mm256_srli_epi32(weights, 1));

	return _mm256_cvttps_epi32(
		_mm256_div_ps(_mm256_cvtepi32_ps(rounded), _mm256_cvtepi32_ps(weights)));
}

/* Eight squares, whose order folding has changed: each half has four of them. */
INLINE void store_grey_alpha8(uint8_t *to, __m256i sums, __m256i weights, unsigned scale)
{
	const __m256i half = _mm256_set1_epi32((int)(scale * scale / 2));
	const __m256i alphas = _mm256_srli_epi32(_mm256_add_epi32(weights, half), scale == 2   ? 2
										  : scale == 4 ? 4
											       : 6);
	const __m256i words = _mm256_packs_epi32(quotients8(sums, weights), alphas);
	const __m256i bytes = _mm256_packus_epi16(words, words);
	const __m256i pixels = _mm256_unpacklo_epi8(bytes, _mm256_srli_epi64(bytes, 32));
	const __m128i first = _mm256_castsi256_si128(pixels);
	const __m128i second = _mm256_extracti128_si256(pixels, 1);

	_mm_storeu_si128((void *)to, scale == 2   ? _mm_unpacklo_epi64(first, second)
				     : scale == 4 ? _mm_unpacklo_epi32(first, second)
						  : _mm_unpacklo_epi16(first, second));
}

/* Eight squares are scale / 2 vectors of a row. */
INLINE uint32_t mean_grey_alpha8(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale)
{
	const uint32_t done = squares / 8 * 8;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 8, means += 16) {
		__m256i sums[4], weights[4];

		for (unsigned i = 0; i < scale / 2; i++, at += 32) {
			sums[i] = weights[i] = _mm256_setzero_si256();
			for (unsigned y = 0; y < scale; y++) {
				const __m256i pixels = avx2_load32(rows[y] + at);
				const __m256i greys = _mm256_and_si256(
					pixels, _mm256_set1_epi16(255));
				const __m256i alphas = _mm256_srli_epi16(pixels, 8);

				sums[i] = _mm256_add_epi32(
					sums[i], _mm256_madd_epi16(greys, alphas));
				weights[i] = _mm256_add_epi16(weights[i], alphas);
			}
			weights[i] = _mm256_madd_epi16(weights[i], _mm256_set1_epi16(1));
		}
		for (unsigned left = scale / 4; left > 0; left /= 2) {
			for (unsigned i = 0; i < left; i++) {
				sums[i] = _mm256_hadd_epi32(sums[2 * i], sums[2 * i + 1]);
				weights[i] = _mm256_hadd_epi32(weights[2 * i], weights[2 * i + 1]);
			}
		}
		store_grey_alpha8(means, sums[0], weights[0], scale);
	}
	return done;
}

/* ---- RGBA of 8 bits ---- */

/* Four pixels: of the first two, and of the others, the sums of colours by alpha, and of alpha. */
INLINE __m256i weigh_rgba8(const uint8_t *row)
{
	const __m256i colours = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
	const __m256i alphas = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(6, 7, 14, 15, 6, 7, 14, 15, 6, 7, 14, 15, 6, 7, 14, 15));
	/* The weight of alpha itself is 1, or 0 where alpha is 0. */
	const __m256i limits = _mm256_setr_epi16(
		255, 255, 255, 255, 255, 255, 1, 1, 255, 255, 255, 255, 255, 255, 1, 1);
	const __m256i samples = _mm256_cvtepu8_epi16(avx2_load16(row));

	return _mm256_madd_epi16(_mm256_shuffle_epi8(samples, colours),
		_mm256_min_epi16(_mm256_shuffle_epi8(samples, alphas), limits));
}

INLINE __m256i mean_sums8(__m256i sums, unsigned scale)
{
	return quotients8(sums, _mm256_blend_epi32(_mm256_shuffle_epi32(sums, 0xff),
					_mm256_set1_epi32((int)(scale * scale)), 0x88));
}

/* Two squares of all of their rows, one in each half. */
INLINE __m256i sum_rgba8(const uint8_t *const *rows, size_t at, unsigned scale)
{
	__m256i both[2];

	if (scale == 2)
		return _mm256_add_epi32(weigh_rgba8(rows[0] + at), weigh_rgba8(rows[1] + at));
	for (unsigned i = 0; i < 2; i++) {
		both[i] = _mm256_setzero_si256();
		for (unsigned k = 0; k < scale; k += 4, at += 16)
			for (unsigned y = 0; y < scale; y++)
				both[i] = _mm256_add_epi32(both[i], weigh_rgba8(rows[y] + at));
	}
	return _mm256_add_epi32(_mm256_permute2x128_si256(both[0], both[1], 0x20),
		_mm256_permute2x128_si256(both[0], both[1], 0x31));
}

INLINE uint32_t mean_rgba8(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale)
{
	const uint32_t done = squares / 4 * 4;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 4, means += 16, at += 16 * scale) {
		const __m256i first = sum_rgba8(rows, at, scale),
			      second = sum_rgba8(rows, at + 8 * scale, scale);
		const __m256i words = _mm256_packs_epi32(
			mean_sums8(first, scale), mean_sums8(second, scale));
		const __m256i bytes = _mm256_packus_epi16(words, words);

		_mm_storeu_si128((void *)means, _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes),
							_mm256_extracti128_si256(bytes, 1)));
	}
	return done;
}

INLINE uint32_t mean(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	if (box->channels == 2)
		return mean_grey_alpha8(rows, squares, means, scale);
	if (box->channels == 4)
		return mean_rgba8(rows, squares, means, scale);
	return scale == 2 ? halve_rgb8(rows, squares, means)
			  : mean_rgb8(rows, squares, means, scale);
}

AVX2 uint32_t box_avx2(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	return BOX_BY_SCALE(mean, box, rows, means);
}

#else

bool box_has_avx2(const struct box *box)
{
	(void)box;
	return false;
}

uint32_t box_avx2(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	(void)box;
	(void)rows;
	(void)means;
	return 0;
}

#endif
