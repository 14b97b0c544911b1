/*
 * What undoing the filters of a PNG takes of a vector unit, with SSE2, NEON, or neither.
 *
 * Eight lanes of 16 bits, of which each holds a byte; and sixteen bytes, to sort them into lanes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PNG_INLINE static inline __attribute__((always_inline))

#if defined(__SSE2__)

#include <emmintrin.h>

typedef __m128i lanes;
typedef __m128i bytes16;

PNG_INLINE lanes lanes_from(uint64_t bytes)
{
	return _mm_unpacklo_epi8(_mm_cvtsi64_si128((long long)bytes), _mm_setzero_si128());
}

PNG_INLINE uint64_t lanes_to(lanes a)
{
	return (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(a, a));
}

/* Modulo 256 in each lane. */
PNG_INLINE lanes add_bytes(lanes a, lanes b)
{
	return _mm_add_epi8(a, b);
}

PNG_INLINE lanes half_sum(lanes a, lanes b)
{
	return _mm_srli_epi16(_mm_add_epi16(a, b), 1);
}

PNG_INLINE lanes paeth(lanes left, lanes above, lanes corner)
{
	/* Left, above or corner, whichever is nearest to left + above - corner: the larger of
	 * left and above if the smaller is not below 3 x corner - left - above, and so on. */
	const lanes triple = _mm_sub_epi16(
		_mm_add_epi16(corner, _mm_add_epi16(corner, corner)), above);
	const lanes limit = _mm_sub_epi16(triple, left);
	const lanes low = _mm_min_epi16(left, above), high = _mm_max_epi16(left, above);
	const lanes not_high = _mm_cmpgt_epi16(limit, low);
	const lanes not_low = _mm_cmpgt_epi16(high, limit);

	return _mm_or_si128(
		_mm_or_si128(_mm_andnot_si128(not_high, high), _mm_andnot_si128(not_low, low)),
		_mm_and_si128(_mm_and_si128(not_low, corner), not_high));
}

PNG_INLINE lanes lanes_and(lanes a, lanes b)
{
	return _mm_and_si128(a, b);
}

PNG_INLINE lanes lanes_or(lanes a, lanes b)
{
	return _mm_or_si128(a, b);
}

/* Each lane becomes what the one before it was; `first` goes into the first. */
PNG_INLINE lanes lanes_shift_in(lanes a, uint8_t first)
{
	return _mm_or_si128(_mm_slli_si128(a, 2), _mm_cvtsi32_si128(first));
}

/* Half of each: the first four of both; the last four of `a`, the first four of `b`. */
PNG_INLINE lanes join_first(lanes a, lanes b)
{
	return _mm_unpacklo_epi64(a, b);
}

PNG_INLINE lanes join_second_first(lanes a, lanes b)
{
	return _mm_castpd_si128(_mm_shuffle_pd(_mm_castsi128_pd(a), _mm_castsi128_pd(b), 1));
}

PNG_INLINE bytes16 bytes_from(uint64_t first)
{
	return _mm_cvtsi64_si128((long long)first);
}

PNG_INLINE uint64_t bytes_first(bytes16 a)
{
	return (uint64_t)_mm_cvtsi128_si64(a);
}

PNG_INLINE uint64_t bytes_second(bytes16 a)
{
	return bytes_first(_mm_unpackhi_epi64(a, a));
}

/* The first eight of both, in turn; the second eight. */
PNG_INLINE bytes16 zip_first(bytes16 a, bytes16 b)
{
	return _mm_unpacklo_epi8(a, b);
}

PNG_INLINE bytes16 zip_second(bytes16 a, bytes16 b)
{
	return _mm_unpackhi_epi8(a, b);
}

PNG_INLINE lanes lanes_of_first(bytes16 a)
{
	return _mm_unpacklo_epi8(a, _mm_setzero_si128());
}

PNG_INLINE lanes lanes_of_second(bytes16 a)
{
	return _mm_unpackhi_epi8(a, _mm_setzero_si128());
}

PNG_INLINE bytes16 bytes_of(lanes first, lanes second)
{
	return _mm_packus_epi16(first, second);
}

#elif defined(__ARM_NEON) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <arm_neon.h>

typedef int16x8_t lanes;
typedef uint8x16_t bytes16;

PNG_INLINE lanes lanes_from(uint64_t bytes)
{
	return vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(bytes)));
}

PNG_INLINE uint64_t lanes_to(lanes a)
{
	return vget_lane_u64(vreinterpret_u64_u8(vmovn_u16(vreinterpretq_u16_s16(a))), 0);
}

PNG_INLINE lanes add_bytes(lanes a, lanes b)
{
	return vreinterpretq_s16_u8(vaddq_u8(vreinterpretq_u8_s16(a), vreinterpretq_u8_s16(b)));
}

PNG_INLINE lanes half_sum(lanes a, lanes b)
{
	return vhaddq_s16(a, b);
}

PNG_INLINE lanes paeth(lanes left, lanes above, lanes corner)
{
	const lanes triple = vsubq_s16(vaddq_s16(corner, vaddq_s16(corner, corner)), above);
	const lanes limit = vsubq_s16(triple, left);
	const lanes low = vminq_s16(left, above), high = vmaxq_s16(left, above);
	const uint16x8_t not_high = vcgtq_s16(limit, low), not_low = vcgtq_s16(high, limit);

	return vbslq_s16(not_high, vbslq_s16(not_low, corner, low), high);
}

PNG_INLINE lanes lanes_and(lanes a, lanes b)
{
	return vandq_s16(a, b);
}

PNG_INLINE lanes lanes_or(lanes a, lanes b)
{
	return vorrq_s16(a, b);
}

PNG_INLINE lanes lanes_shift_in(lanes a, uint8_t first)
{
	return vextq_s16(vdupq_n_s16(first), a, 7);
}

PNG_INLINE lanes join_first(lanes a, lanes b)
{
	return vcombine_s16(vget_low_s16(a), vget_low_s16(b));
}

PNG_INLINE lanes join_second_first(lanes a, lanes b)
{
	return vextq_s16(a, b, 4);
}

PNG_INLINE bytes16 bytes_from(uint64_t first)
{
	return vcombine_u8(vcreate_u8(first), vcreate_u8(0));
}

PNG_INLINE uint64_t bytes_first(bytes16 a)
{
	return vgetq_lane_u64(vreinterpretq_u64_u8(a), 0);
}

PNG_INLINE uint64_t bytes_second(bytes16 a)
{
	return vgetq_lane_u64(vreinterpretq_u64_u8(a), 1);
}

PNG_INLINE bytes16 zip_first(bytes16 a, bytes16 b)
{
	return vzipq_u8(a, b).val[0];
}

PNG_INLINE bytes16 zip_second(bytes16 a, bytes16 b)
{
	return vzipq_u8(a, b).val[1];
}

PNG_INLINE lanes lanes_of_first(bytes16 a)
{
	return vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a)));
}

PNG_INLINE lanes lanes_of_second(bytes16 a)
{
	return vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(a)));
}

PNG_INLINE bytes16 bytes_of(lanes first, lanes second)
{
	return vcombine_u8(
		vmovn_u16(vreinterpretq_u16_s16(first)), vmovn_u16(vreinterpretq_u16_s16(second)));
}

#else

#include "image/png_lanes_plain.h"

#endif

/* Where the first byte is the lowest of a number anyway, nothing. */
PNG_INLINE unsigned row_shift(size_t width)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 64 - 8 * (unsigned)width : 0;
}

/* As many bytes of a row as `width` says, up to eight, from `at` on; byte by byte, with zeros for
 * others, unless all of them are inside. */
PNG_INLINE uint64_t row_read(
	const uint8_t *row, ptrdiff_t at, size_t size, size_t width, bool inside)
{
	uint64_t value = 0;
	uint8_t bytes[8] = {0};

	if (inside) {
		memcpy(&value, row + at, width);
		return value >> row_shift(width);
	}
	for (ptrdiff_t k = 0; k < (ptrdiff_t)width; k++)
		if (at + k >= 0 && (size_t)(at + k) < size)
			bytes[k] = row[at + k];
	memcpy(&value, bytes, width);
	return value >> row_shift(width);
}

PNG_INLINE void row_write(
	uint8_t *row, ptrdiff_t at, size_t size, size_t width, uint64_t value, bool inside)
{
	uint8_t bytes[8];

	value <<= row_shift(width);
	memcpy(bytes, &value, sizeof value);
	if (inside) {
		memcpy(row + at, bytes, width);
		return;
	}
	for (ptrdiff_t k = 0; k < (ptrdiff_t)width; k++)
		if (at + k >= 0 && (size_t)(at + k) < size)
			row[at + k] = bytes[k];
}
