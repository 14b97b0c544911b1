/*
 * The sums of pixels of red, green, blue and alpha, each of 32 bits: of colours times alpha, and of
 * alpha. With SSE2, NEON, or neither.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define BOX_INLINE static inline __attribute__((always_inline))

#if defined(__SSE2__)

#include <emmintrin.h>

typedef __m128i box_sums;

BOX_INLINE box_sums box_sums_load(const uint32_t *from)
{
	return _mm_loadu_si128((const void *)from);
}

BOX_INLINE void box_sums_store(uint32_t *to, box_sums sums)
{
	_mm_storeu_si128((void *)to, sums);
}

/* Adds two pixels. */
BOX_INLINE box_sums box_sums_add(box_sums sums, const uint8_t *row)
{
	const __m128i zero = _mm_setzero_si128();
	const __m128i colours = _mm_setr_epi16(-1, -1, -1, 0, -1, -1, -1, 0);
	const __m128i ones = _mm_setr_epi16(0, 0, 0, 1, 0, 0, 0, 1);
	const __m128i samples = _mm_unpacklo_epi8(_mm_loadl_epi64((const void *)row), zero);
	const __m128i alphas = _mm_shufflehi_epi16(_mm_shufflelo_epi16(samples, 0xff), 0xff);
	const __m128i products = _mm_mullo_epi16(
		samples, _mm_or_si128(_mm_and_si128(alphas, colours), ones));

	return _mm_add_epi32(sums, _mm_add_epi32(_mm_unpacklo_epi16(products, zero),
					   _mm_unpackhi_epi16(products, zero)));
}

/* The mean of so many pixels. All numbers are below 2^24, and a quotient of such floats cannot
 * round up to a whole number. */
BOX_INLINE void box_sums_mean(box_sums sums, uint32_t pixels, uint8_t *pixel)
{
	const __m128i colours = _mm_setr_epi32(-1, -1, -1, 0);
	const __m128i weights = _mm_or_si128(_mm_and_si128(_mm_shuffle_epi32(sums, 0xff), colours),
		_mm_setr_epi32(0, 0, 0, (int)pixels));
	const __m128i divisors = _mm_sub_epi32(
		weights, _mm_cmpeq_epi32(weights, _mm_setzero_si128()));
	const __m128i rounded = _mm_add_epi32(sums, _mm_srli_epi32(divisors, 1));
	const __m128i means = _mm_cvttps_epi32(
		_mm_div_ps(_mm_cvtepi32_ps(rounded), _mm_cvtepi32_ps(divisors)));
	const __m128i words = _mm_packs_epi32(means, means);
	const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));

	memcpy(pixel, &bytes, 4);
}

#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <arm_neon.h>

typedef uint32x4_t box_sums;

BOX_INLINE box_sums box_sums_load(const uint32_t *from)
{
	return vld1q_u32(from);
}

BOX_INLINE void box_sums_store(uint32_t *to, box_sums sums)
{
	vst1q_u32(to, sums);
}

BOX_INLINE box_sums box_sums_add(box_sums sums, const uint8_t *row)
{
	const uint16x8_t samples = vmovl_u8(vld1_u8(row));
	const uint16x4_t first = vget_low_u16(samples), second = vget_high_u16(samples);
	const uint16x4_t first_weights = vset_lane_u16(1, vdup_lane_u16(first, 3), 3);
	const uint16x4_t second_weights = vset_lane_u16(1, vdup_lane_u16(second, 3), 3);

	return vmlal_u16(vmlal_u16(sums, first, first_weights), second, second_weights);
}

BOX_INLINE void box_sums_mean(box_sums sums, uint32_t pixels, uint8_t *pixel)
{
	const uint32x4_t weights = vsetq_lane_u32(pixels, vdupq_laneq_u32(sums, 3), 3);
	const uint32x4_t divisors = vmaxq_u32(weights, vdupq_n_u32(1));
	const uint32x4_t rounded = vaddq_u32(sums, vshrq_n_u32(divisors, 1));
	const uint32x4_t means = vcvtq_u32_f32(
		vdivq_f32(vcvtq_f32_u32(rounded), vcvtq_f32_u32(divisors)));
	const uint16x4_t words = vmovn_u32(means);
	const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));

	vst1_lane_u32((void *)pixel, vreinterpret_u32_u8(bytes), 0);
}

#else

typedef struct {
	uint32_t at[4];
} box_sums;

BOX_INLINE box_sums box_sums_load(const uint32_t *from)
{
	box_sums sums;

	memcpy(sums.at, from, sizeof sums.at);
	return sums;
}

BOX_INLINE void box_sums_store(uint32_t *to, box_sums sums)
{
	memcpy(to, sums.at, sizeof sums.at);
}

BOX_INLINE box_sums box_sums_add(box_sums sums, const uint8_t *row)
{
	for (int k = 0; k < 8; k += 4) {
		for (int i = 0; i < 3; i++)
			sums.at[i] += (uint32_t)row[k + i] * row[k + 3];
		sums.at[3] += row[k + 3];
	}
	return sums;
}

BOX_INLINE void box_sums_mean(box_sums sums, uint32_t pixels, uint8_t *pixel)
{
	const uint32_t weight = sums.at[3] ? sums.at[3] : 1;

	for (int i = 0; i < 3; i++)
		pixel[i] = (uint8_t)((sums.at[i] + weight / 2) / weight);
	pixel[3] = (uint8_t)((sums.at[3] + pixels / 2) / pixels);
}

#endif
