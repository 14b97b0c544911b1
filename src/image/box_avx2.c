#include "image/box_whole.h"

#if defined(__x86_64__)

#include "image/avx2.h"

#include <string.h>

#define INLINE AVX2_INLINE

bool box_has_avx2(const struct box *box)
{
	const bool alpha = box->channels % 2 == 0;

	return (alpha || (box->channels == 3 && box->bits == 8)) && __builtin_cpu_supports("avx2");
}

/* ---- RGB of 8 bits: as each half of a vector has room for five pixels, it gets four ---- */

/* Puts samples where `order` says, in the second half of pixels that begin at its fifth byte. */
INLINE __m256i order_rgb8(__m128i order)
{
	return _mm256_inserti128_si256(
		_mm256_castsi128_si256(order), _mm_add_epi8(order, _mm_set1_epi8(4)), 1);
}

/* The first half from `at` on, the second one up to `end`, of which the order must be as above. */
INLINE __m256i load_rgb8(const uint8_t *at, const uint8_t *end)
{
	return _mm256_inserti128_si256(
		_mm256_castsi128_si256(avx2_load16(at)), avx2_load16(end - 16), 1);
}

/* The sums of two neighbours each. */
INLINE __m256i pairs_rgb8(__m256i pixels, __m256i order)
{
	return _mm256_maddubs_epi16(_mm256_shuffle_epi8(pixels, order), _mm256_set1_epi8(1));
}

/* The means of two squares in each half. */
INLINE __m256i halve_rgb8(const uint8_t *const *rows, size_t at, size_t end)
{
	const __m256i order = order_rgb8(
		_mm_setr_epi8(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, -128, -128, -128, -128));
	const __m256i sums = _mm256_add_epi16(
		pairs_rgb8(load_rgb8(rows[0] + at, rows[0] + end), order),
		pairs_rgb8(load_rgb8(rows[1] + at, rows[1] + end), order));

	return _mm256_srli_epi16(_mm256_add_epi16(sums, _mm256_set1_epi16(2)), 2);
}

/* Eight squares at a time: those that come first are in the first half. */
INLINE uint32_t halves_rgb8(const uint8_t *const *rows, uint32_t squares, uint8_t *means)
{
	const __m256i order = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1));
	const uint32_t done = squares / 8 * 8;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 8, at += 48, means += 24) {
		const __m256i bytes = _mm256_shuffle_epi8(
			_mm256_packus_epi16(
				halve_rgb8(rows, at, at + 36), halve_rgb8(rows, at + 12, at + 48)),
			order);
		const __m128i first = _mm256_castsi256_si128(bytes);
		const __m128i second = _mm256_extracti128_si256(bytes, 1);

		_mm_storeu_si128((void *)means, _mm_or_si128(first, _mm_slli_si128(second, 12)));
		_mm_storel_epi64((void *)(means + 16), _mm_srli_si128(second, 4));
	}
	return done;
}

/* Two squares, one in each half. */
INLINE __m256i mean_rgb8(
	const struct box *box, const uint8_t *const *rows, size_t at, unsigned scale)
{
	const __m256i order = order_rgb8(
		_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -128, -128, -128, -128));
	const __m256i half = _mm256_set1_epi32((int)(scale * scale / 2));
	__m256i sums = _mm256_setzero_si256(), more = sums;

	for (unsigned y = 0; y < box->scale; y++) {
		const uint8_t *from = rows[y] + at;

		sums = _mm256_add_epi16(sums, pairs_rgb8(load_rgb8(from, from + 24), order));
		if (scale == 8)
			more = _mm256_add_epi16(
				more, pairs_rgb8(load_rgb8(from + 24, from + 48), order));
	}
	if (scale == 8)
		sums = _mm256_add_epi16(_mm256_permute2x128_si256(sums, more, 0x20),
			_mm256_permute2x128_si256(sums, more, 0x31));
	sums = _mm256_add_epi32(_mm256_madd_epi16(sums, _mm256_set1_epi16(1)), half);
	return _mm256_srli_epi32(sums, scale == 4 ? 4 : 6);
}

INLINE uint32_t means_rgb8(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	const __m128i order = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
	const uint32_t done = squares / 4 * 4;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 4, at += scale * 12, means += 12) {
		const __m256i words = _mm256_packs_epi32(mean_rgb8(box, rows, at, scale),
			mean_rgb8(box, rows, at + scale * 6, scale));
		const __m256i bytes = _mm256_packus_epi16(words, words);
		const __m128i made = _mm_shuffle_epi8(
			_mm_unpacklo_epi32(
				_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)),
			order);
		const int last = _mm_extract_epi32(made, 2);

		_mm_storel_epi64((void *)means, made);
		memcpy(means + 8, &last, sizeof last);
	}
	return done;
}

/* ---- grey with alpha, of 8 bits ---- */

/* Eight squares, whose order folding has changed: each half has four of them. */
INLINE void store_grey_alpha8(uint8_t *to, __m256i sums, __m256i weights, unsigned scale)
{
	const __m256i half = _mm256_set1_epi32((int)(scale * scale / 2));
	const __m256i alphas = _mm256_srli_epi32(_mm256_add_epi32(weights, half), scale == 2   ? 2
										  : scale == 4 ? 4
											       : 6);
	const __m256i words = _mm256_packs_epi32(avx2_quotients8(sums, weights), alphas);
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

INLINE uint32_t mean(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	if (box->channels == 2)
		return mean_grey_alpha8(rows, squares, means, scale);
	return scale == 2 ? halves_rgb8(rows, squares, means)
			  : means_rgb8(box, rows, squares, means, scale);
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
