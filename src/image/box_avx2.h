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
