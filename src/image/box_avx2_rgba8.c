#include "image/box_whole.h"

#if defined(__x86_64__)

#include "image/avx2.h"

#define INLINE AVX2_INLINE

enum {
	PARTS = 8, /* of eight squares each, which are summed up before their means are taken */
};

/* ---- weighed by alpha: of each square, the sums of colours by alpha, and of alpha ---- */

/* Of the four pixels in each half: samples of the first two, or the other two, side by side. */
INLINE __m256i pairs(__m256i pixels, int first)
{
	const __m128i order = _mm_setr_epi8(
		0, -128, 4, -128, 1, -128, 5, -128, 2, -128, 6, -128, 3, -128, 7, -128);

	return _mm256_shuffle_epi8(pixels,
		_mm256_broadcastsi128_si256(_mm_add_epi8(order, _mm_set1_epi8((char)first))));
}

INLINE __m256i weigh(__m256i samples)
{
	/* The weight of alpha itself is 1, or 0 where alpha is 0. */
	const __m256i limits = _mm256_setr_epi16(
		255, 255, 255, 255, 255, 255, 1, 1, 255, 255, 255, 255, 255, 255, 1, 1);
	const __m256i alphas = _mm256_shuffle_epi32(samples, 0xff);

	return _mm256_madd_epi16(samples, _mm256_min_epi16(alphas, limits));
}

/* Two pixels of each half to the first sum, the next two to the second. */
INLINE void add_weighed(__m256i sums[2], __m256i pixels)
{
	sums[0] = _mm256_add_epi32(sums[0], weigh(pairs(pixels, 0)));
	sums[1] = _mm256_add_epi32(sums[1], weigh(pairs(pixels, 8)));
}

/* ---- at 1/2: eight squares at a time ---- */

/* round(sum / weight), by reciprocals of the weights. `half` is a little more than 1/2, so that halves
 * go up: more than the products are rounded by, and less than 1/2040, which is how close other
 * quotients come to a half. 0 / 0 becomes 0 when it is packed. */
INLINE __m256i halves_quotients(__m256i sums, __m256 reciprocals, __m256 half)
{
	const __m256 factors = _mm256_blend_ps(reciprocals, _mm256_set1_ps(0.25F), 0x88);

	return _mm256_cvttps_epi32(
		_mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), factors), half));
}

/* The two halves of the sums are squares 0 and 2, 1 and 3, 4 and 6, 5 and 7. */
INLINE __m256i halves_weighed(const __m256i sums[4])
{
	const __m256 half = _mm256_set1_ps(0.5F + 1.0F / 4080);
	const __m256i alphas = _mm256_unpackhi_epi64(
		_mm256_unpackhi_epi32(sums[0], sums[1]), _mm256_unpackhi_epi32(sums[2], sums[3]));
	const __m256 all = _mm256_div_ps(_mm256_set1_ps(1), _mm256_cvtepi32_ps(alphas));

	return _mm256_packus_epi16(
		_mm256_packs_epi32(halves_quotients(sums[0], _mm256_permute_ps(all, 0x00), half),
			halves_quotients(sums[1], _mm256_permute_ps(all, 0x55), half)),
		_mm256_packs_epi32(halves_quotients(sums[2], _mm256_permute_ps(all, 0xaa), half),
			halves_quotients(sums[3], _mm256_permute_ps(all, 0xff), half)));
}

/* Of opaque pixels: four squares. */
INLINE __m256i halves_opaque(__m256i upper, __m256i lower)
{
	const __m256i order = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));
	const __m256i ones = _mm256_set1_epi8(1);
	const __m256i sums = _mm256_add_epi16(
		_mm256_maddubs_epi16(_mm256_shuffle_epi8(upper, order), ones),
		_mm256_maddubs_epi16(_mm256_shuffle_epi8(lower, order), ones));

	return _mm256_srli_epi16(_mm256_add_epi16(sums, _mm256_set1_epi16(2)), 2);
}

/* Eight squares, two in each quarter: the second and the third quarter change places. */
INLINE void store(uint8_t *means, __m256i bytes)
{
	_mm256_storeu_si256((void *)means, _mm256_permute4x64_epi64(bytes, 0xd8));
}

/* Many sums, then their means: so no division is waited for. */
INLINE void halve_weighed(
	const uint8_t *upper, const uint8_t *lower, unsigned parts, uint8_t *means)
{
	__m256i sums[PARTS][4];

	for (unsigned i = 0; i < parts; i++, upper += 64, lower += 64) {
		sums[i][0] = sums[i][1] = sums[i][2] = sums[i][3] = _mm256_setzero_si256();
		add_weighed(sums[i], avx2_load32(upper));
		add_weighed(sums[i], avx2_load32(lower));
		add_weighed(sums[i] + 2, avx2_load32(upper + 32));
		add_weighed(sums[i] + 2, avx2_load32(lower + 32));
	}
	for (unsigned i = 0; i < parts; i++, means += 32)
		store(means, halves_weighed(sums[i]));
}

INLINE void halve_opaque(const uint8_t *upper, const uint8_t *lower, unsigned parts, uint8_t *means)
{
	for (unsigned i = 0; i < parts; i++, upper += 64, lower += 64, means += 32)
		store(means,
			_mm256_packus_epi16(halves_opaque(avx2_load32(upper), avx2_load32(lower)),
				halves_opaque(avx2_load32(upper + 32), avx2_load32(lower + 32))));
}

INLINE bool are_opaque(const uint8_t *upper, const uint8_t *lower, unsigned parts)
{
	__m256i all = _mm256_set1_epi32((int)0xff000000);

	for (unsigned i = 0; i < 2 * parts; i++)
		all = _mm256_and_si256(all,
			_mm256_and_si256(avx2_load32(upper + i * 32), avx2_load32(lower + i * 32)));
	return _mm256_testc_si256(all, _mm256_set1_epi32((int)0xff000000));
}

INLINE uint32_t halve(const uint8_t *const *rows, uint32_t squares, uint8_t *means)
{
	const uint8_t *upper = rows[0], *lower = rows[1];

	for (uint32_t left = squares / 8; left > 0;) {
		const unsigned parts = left < PARTS ? left : PARTS;

		if (are_opaque(upper, lower, parts))
			halve_opaque(upper, lower, parts, means);
		else
			halve_weighed(upper, lower, parts, means);
		upper += 64 * parts;
		lower += 64 * parts;
		means += 32 * parts;
		left -= parts;
	}
	return squares / 8 * 8;
}

/* ---- at 1/4 and 1/8: four squares at a time ---- */

/* Two squares of all of their rows, one in each half. */
INLINE __m256i sum_squares(
	const struct box *box, const uint8_t *const *rows, size_t at, unsigned scale)
{
	__m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()},
		more[2] = {sums[0], sums[0]};

	for (unsigned y = 0; y < box->scale; y++) {
		add_weighed(sums, avx2_load32(rows[y] + at));
		if (scale == 8)
			add_weighed(more, avx2_load32(rows[y] + at + 32));
	}
	sums[0] = _mm256_add_epi32(sums[0], sums[1]);
	if (scale == 4)
		return sums[0];
	more[0] = _mm256_add_epi32(more[0], more[1]);
	return _mm256_add_epi32(_mm256_permute2x128_si256(sums[0], more[0], 0x20),
		_mm256_permute2x128_si256(sums[0], more[0], 0x31));
}

INLINE __m256i mean_sums(__m256i sums, unsigned scale)
{
	return avx2_quotients8(sums, _mm256_blend_epi32(_mm256_shuffle_epi32(sums, 0xff),
					     _mm256_set1_epi32((int)(scale * scale)), 0x88));
}

INLINE uint32_t mean(const struct box *box, const uint8_t *const *rows, uint32_t squares,
	uint8_t *means, unsigned scale)
{
	const uint32_t done = squares / 4 * 4;
	size_t at = 0;

	if (scale == 2)
		return halve(rows, squares, means);
	for (uint32_t x = 0; x < done; x += 4, means += 16, at += 16 * scale) {
		const __m256i first = sum_squares(box, rows, at, scale),
			      second = sum_squares(box, rows, at + 8 * scale, scale);
		const __m256i words = _mm256_packs_epi32(
			mean_sums(first, scale), mean_sums(second, scale));
		const __m256i bytes = _mm256_packus_epi16(words, words);

		_mm_storeu_si128((void *)means, _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes),
							_mm256_extracti128_si256(bytes, 1)));
	}
	return done;
}

AVX2 uint32_t box_avx2_rgba8(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	return BOX_BY_SCALE(mean, box, rows, means);
}

#else

uint32_t box_avx2_rgba8(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	(void)box;
	(void)rows;
	(void)means;
	return 0;
}

#endif
