/*
 * What the sources for AVX2 share.
 */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

AVX2_INLINE __m128i avx2_load16(const uint8_t *from)
{
	return _mm_loadu_si128((const void *)from);
}

AVX2_INLINE __m256i avx2_load32(const uint8_t *from)
{
	return _mm256_loadu_si256((const void *)from);
}

/* round(sum / weight), as box_quotients; but 0 / 0 is no number, becomes the lowest, and that a 0 when
 * it is packed. */
AVX2_INLINE __m256i avx2_quotients8(__m256i sums, __m256i weights)
{
	const __m256i rounded = _mm256_add_epi32(sums, _mm256_srli_epi32(weights, 1));

	return _mm256_cvttps_epi32(
		_mm256_div_ps(_mm256_cvtepi32_ps(rounded), _mm256_cvtepi32_ps(weights)));
}
