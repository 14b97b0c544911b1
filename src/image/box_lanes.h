/*
 * Pixels with alpha, eight or sixteen bytes of them at a time, added up as their mean wants them:
 * in the compiler's vectors, but for what SSE2 has an instruction of its own for.
 */
#pragma once

#include "image/vectors.h"

#include <stdbool.h>

VECTOR_INLINE u16x8 box_load16(const void *from, bool swapped)
{
	const u16x8 samples = (u16x8)vector_load(from);

	return swapped ? samples << 8 | samples >> 8 : samples;
}

#if defined(__SSE2__)

#include <emmintrin.h>

/* The sum of the products of lanes 0 and 1, of 2 and 3, and so on; all below 2^15. */
VECTOR_INLINE u32x4 box_pairs(u16x8 a, u16x8 b)
{
	return (u32x4)_mm_madd_epi16((__m128i)a, (__m128i)b);
}

/* The products of lanes 0 and of lanes 2. */
VECTOR_INLINE u64x2 box_products(u32x4 a, u32x4 b)
{
	return (u64x2)_mm_mul_epu32((__m128i)a, (__m128i)b);
}

/* The smaller of each two, all below 2^15. */
VECTOR_INLINE u16x8 box_smaller(u16x8 a, u16x8 b)
{
	return (u16x8)_mm_min_epi16((__m128i)a, (__m128i)b);
}

/* Eight numbers below 2^8 become bytes, the first eight. */
VECTOR_INLINE u8x16 box_pack(i32x4 first, i32x4 second)
{
	const __m128i words = _mm_packs_epi32((__m128i)first, (__m128i)second);

	return (u8x16)_mm_packus_epi16(words, words);
}

#else

VECTOR_INLINE u32x4 box_pairs(u16x8 a, u16x8 b)
{
	const u32x4 first = ((u32x4)a & 0xffff) * ((u32x4)b & 0xffff);

	return first + ((u32x4)a >> 16) * ((u32x4)b >> 16);
}

VECTOR_INLINE u64x2 box_products(u32x4 a, u32x4 b)
{
	return ((u64x2)a & UINT32_MAX) * ((u64x2)b & UINT32_MAX);
}

VECTOR_INLINE u16x8 box_smaller(u16x8 a, u16x8 b)
{
	const u16x8 smaller = (u16x8)(a < b);

	return (a & smaller) | (b & ~smaller);
}

VECTOR_INLINE u8x16 box_pack(i32x4 first, i32x4 second)
{
	return VECTOR_SHUFFLE(
		u8x16, first, second, 0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
}

#endif

/* Lanes 0 and 1 of both, added, and 2 and 3. */
VECTOR_INLINE u32x4 box_fold(u32x4 a, u32x4 b)
{
	return VECTOR_SHUFFLE(u32x4, a, b, 0, 2, 4, 6) + VECTOR_SHUFFLE(u32x4, a, b, 1, 3, 5, 7);
}

VECTOR_INLINE u64x2 box_fold64(u64x2 a, u64x2 b)
{
	return VECTOR_SHUFFLE(u64x2, a, b, 0, 2) + VECTOR_SHUFFLE(u64x2, a, b, 1, 3);
}

/* round(sum / weight), 0 / 0 being 0. All numbers are below 2^24, and a quotient of such floats
 * cannot round up to a whole number. */
VECTOR_INLINE i32x4 box_quotients(u32x4 sums, u32x4 weights)
{
	const u32x4 divisors = weights - (u32x4)(weights == 0), rounded = sums + (divisors >> 1);
	const f32x4 quotients = __builtin_convertvector((i32x4)rounded, f32x4) /
				__builtin_convertvector((i32x4)divisors, f32x4);

	return __builtin_convertvector(quotients, i32x4);
}

/* From numbers below 2^52: in front of these bits stand the exponent and the first bit of 2^52. */
VECTOR_INLINE f64x2 box_doubles(u64x2 a)
{
	return (f64x2)(a | UINT64_C(0x4330000000000000)) - 0x1p52;
}

/* What box_means takes for weights. That of 0 is 2^30. */
VECTOR_INLINE f64x2 box_reciprocals(u64x2 weights)
{
	return 1 / (box_doubles(weights) + 0x1p-30);
}

/* round(sum / weight), of weights up to 2^22 and results up to 65535; 0 / 0 is 0. Adding 2^52 rounds to
 * a whole number. The quarter makes halves go up, and is more than what rounding and 2^-30 change. Of
 * a weight of 0 come 2^28, whose low 16 bits are 0. */
VECTOR_INLINE u64x2 box_means(u64x2 sums, f64x2 reciprocals)
{
	const f64x2 means = (box_doubles(sums) + 0.25) * reciprocals;

	return (u64x2)(means + 0x1p52) & 0xffff;
}
