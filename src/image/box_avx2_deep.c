#include "image/box_whole.h"

#if defined(__x86_64__)

#include "image/avx2.h"

#define INLINE AVX2_INLINE

/* Of numbers below 2^52, as box_lanes.h has it, and the same for the next two. */
INLINE __m256d doubles(__m256i a)
{
	const __m256d lowest = _mm256_set1_pd(0x1p52);

	return _mm256_sub_pd(_mm256_or_pd(_mm256_castsi256_pd(a), lowest), lowest);
}

INLINE __m256d reciprocals(__m256i weights)
{
	return _mm256_div_pd(
		_mm256_set1_pd(1), _mm256_add_pd(doubles(weights), _mm256_set1_pd(0x1p-30)));
}

INLINE __m256i means16(__m256i sums, __m256d factors)
{
	const __m256d means = _mm256_mul_pd(
		_mm256_add_pd(doubles(sums), _mm256_set1_pd(0.25)), factors);

	return _mm256_and_si256(_mm256_castpd_si256(_mm256_add_pd(means, _mm256_set1_pd(0x1p52))),
		_mm256_set1_epi64x(0xffff));
}

/* The sums of the halves of both. */
INLINE __m256i fold(__m256i a, __m256i b)
{
	return _mm256_add_epi64(
		_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

/* The sums of neighbours, of both in turn. */
INLINE __m256i fold_pairs(__m256i a, __m256i b)
{
	return _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* Of each four bytes two samples: those at `low` and `high`. */
INLINE __m256i order16(unsigned low, unsigned high)
{
	return _mm256_add_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, -128, -128, 4, 4,
				       -128, -128, 8, 8, -128, -128, 12, 12, -128, -128)),
		_mm256_set1_epi32((int)(high << 8 | low)));
}

/* Eight pixels: their greys by alpha, two sums in each half; and alphas, one by one. */
INLINE void add_grey_alpha16(__m256i *sums, __m256i *weights, __m256i pixels, bool swapped)
{
	const __m256i greys = _mm256_shuffle_epi8(pixels, order16(swapped, !swapped));
	const __m256i alphas = _mm256_shuffle_epi8(pixels, order16(2U + swapped, 3U - swapped));
	const __m256i others = _mm256_mul_epu32(
		_mm256_srli_epi64(greys, 32), _mm256_srli_epi64(alphas, 32));

	*sums = _mm256_add_epi64(*sums, _mm256_add_epi64(_mm256_mul_epu32(greys, alphas), others));
	*weights = _mm256_add_epi32(*weights, alphas);
}

/* Four squares, whose order folding has changed. */
INLINE void store_grey_alpha16(uint8_t *to, __m256i sums, __m256i weights, unsigned scale)
{
	const __m256i half = _mm256_set1_epi64x(scale * scale / 2);
	const __m256i alphas = _mm256_srli_epi64(_mm256_add_epi64(weights, half), scale == 2   ? 2
										  : scale == 4 ? 4
											       : 6);
	const __m256i pixels = _mm256_shuffle_epi32(
		_mm256_or_si256(means16(sums, reciprocals(weights)), _mm256_slli_epi64(alphas, 16)),
		0x88);
	const __m128i first = _mm256_castsi256_si128(pixels);
	const __m128i second = _mm256_extracti128_si256(pixels, 1);

	_mm_storeu_si128((void *)to,
		scale == 2 ? _mm_unpacklo_epi64(first, second) : _mm_unpacklo_epi32(first, second));
}

/* Four squares are scale / 2 vectors of a row. */
INLINE uint32_t mean_grey_alpha16(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale, bool swapped)
{
	const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
	const uint32_t done = squares / 4 * 4;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 4, means += 16) {
		__m256i sums[4], weights[4];

		for (unsigned i = 0; i < scale / 2; i++, at += 32) {
			sums[i] = weights[i] = _mm256_setzero_si256();
			for (unsigned y = 0; y < scale; y++)
				add_grey_alpha16(
					&sums[i], &weights[i], avx2_load32(rows[y] + at), swapped);
			weights[i] = _mm256_add_epi64(_mm256_and_si256(weights[i], low),
				_mm256_srli_epi64(weights[i], 32));
		}
		for (unsigned i = 0; scale == 8 && i < 2; i++) {
			sums[i] = fold(sums[2 * i], sums[2 * i + 1]);
			weights[i] = fold(weights[2 * i], weights[2 * i + 1]);
		}
		if (scale > 2) {
			sums[0] = fold_pairs(sums[0], sums[1]);
			weights[0] = fold_pairs(weights[0], weights[1]);
		}
		store_grey_alpha16(means, sums[0], weights[0], scale);
	}
	return done;
}

/* Two pixels: red and blue by alpha; green by alpha, and alpha. */
INLINE void add_rgba16(__m256i sums[2], const uint8_t *row, bool swapped)
{
	const __m256i native = _mm256_setr_epi8(0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7, -1,
		-1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15, -1, -1);
	const __m256i other = _mm256_setr_epi8(1, 0, -1, -1, 3, 2, -1, -1, 5, 4, -1, -1, 7, 6, -1,
		-1, 9, 8, -1, -1, 11, 10, -1, -1, 13, 12, -1, -1, 15, 14, -1, -1);
	const __m256i pixels = _mm256_shuffle_epi8(
		_mm256_broadcastsi128_si256(avx2_load16(row)), swapped ? other : native);
	const __m256i alphas = _mm256_shuffle_epi32(pixels, 0xff);
	const __m256i weights = _mm256_blend_epi32(alphas, _mm256_set1_epi32(1), 0xcc);

	sums[0] = _mm256_add_epi64(sums[0], _mm256_mul_epu32(pixels, alphas));
	sums[1] = _mm256_add_epi64(
		sums[1], _mm256_mul_epu32(_mm256_srli_epi64(pixels, 32), weights));
}

INLINE uint32_t mean_rgba16(
	const uint8_t *const *rows, uint32_t squares, uint8_t *means, unsigned scale, bool swapped)
{
	const __m256d share = _mm256_set1_pd(1.0 / (scale * scale));
	const uint32_t done = squares / 2 * 2;
	size_t at = 0;

	for (uint32_t x = 0; x < done; x += 2, means += 16) {
		__m256i sums[2][2], some, others, words;
		__m256d factors;

		for (unsigned i = 0; i < 2; i++) {
			sums[i][0] = sums[i][1] = _mm256_setzero_si256();
			for (unsigned k = 0; k < scale; k += 2, at += 16)
				for (unsigned y = 0; y < scale; y++)
					add_rgba16(sums[i], rows[y] + at, swapped);
		}
		some = fold(sums[0][0], sums[1][0]);
		others = fold(sums[0][1], sums[1][1]);
		factors = reciprocals(_mm256_unpackhi_epi64(others, others));
		others = means16(others, _mm256_blend_pd(factors, share, 10));
		words = _mm256_or_si256(means16(some, factors), _mm256_slli_epi64(others, 16));
		words = _mm256_permute4x64_epi64(_mm256_shuffle_epi32(words, 0x88), 8);
		_mm_storeu_si128((void *)means, _mm256_castsi256_si128(words));
	}
	return done;
}

INLINE uint32_t mean(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	if (box->channels == 4)
		return mean_rgba16(rows, squares, means, scale, box->swapped);
	return mean_grey_alpha16(rows, squares, means, scale, box->swapped);
}

AVX2 uint32_t box_avx2_deep(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	return BOX_BY_SCALE(mean, box, rows, means);
}

#else

uint32_t box_avx2_deep(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	(void)box;
	(void)rows;
	(void)means;
	return 0;
}

#endif
