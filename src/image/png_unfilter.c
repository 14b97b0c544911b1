#include "image/png_unfilter.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/*
 * Eight lanes of 16 bits, of which each holds a byte of a pixel. A pixel depends on the one before
 * it, so what counts is how few steps there are from one to the next, not how many lanes are used.
 */
#if defined(__SSE2__)

#include <emmintrin.h>

typedef __m128i lanes;

INLINE lanes lanes_from(uint64_t bytes)
{
	return _mm_unpacklo_epi8(_mm_cvtsi64_si128((long long)bytes), _mm_setzero_si128());
}

INLINE uint64_t lanes_to(lanes a)
{
	return (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(a, a));
}

/* Modulo 256 in each lane. */
INLINE lanes add_bytes(lanes a, lanes b)
{
	return _mm_add_epi8(a, b);
}

INLINE lanes half_sum(lanes a, lanes b)
{
	return _mm_srli_epi16(_mm_add_epi16(a, b), 1);
}

INLINE lanes paeth(lanes left, lanes above, lanes corner)
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

#elif defined(__ARM_NEON) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <arm_neon.h>

typedef int16x8_t lanes;

INLINE lanes lanes_from(uint64_t bytes)
{
	return vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(bytes)));
}

INLINE uint64_t lanes_to(lanes a)
{
	return vget_lane_u64(vreinterpret_u64_u8(vmovn_u16(vreinterpretq_u16_s16(a))), 0);
}

INLINE lanes add_bytes(lanes a, lanes b)
{
	return vreinterpretq_s16_u8(vaddq_u8(vreinterpretq_u8_s16(a), vreinterpretq_u8_s16(b)));
}

INLINE lanes half_sum(lanes a, lanes b)
{
	return vhaddq_s16(a, b);
}

INLINE lanes paeth(lanes left, lanes above, lanes corner)
{
	const lanes triple = vsubq_s16(vaddq_s16(corner, vaddq_s16(corner, corner)), above);
	const lanes limit = vsubq_s16(triple, left);
	const lanes low = vminq_s16(left, above), high = vmaxq_s16(left, above);
	const uint16x8_t not_high = vcgtq_s16(limit, low), not_low = vcgtq_s16(high, limit);

	return vbslq_s16(not_high, vbslq_s16(not_low, corner, low), high);
}

#else

typedef struct {
	int16_t at[8];
} lanes;

INLINE lanes lanes_from(uint64_t bytes)
{
	uint8_t split[8];
	lanes a;

	memcpy(split, &bytes, sizeof split);
	for (int i = 0; i < 8; i++)
		a.at[i] = split[i];
	return a;
}

INLINE uint64_t lanes_to(lanes a)
{
	uint8_t split[8];
	uint64_t bytes;

	for (int i = 0; i < 8; i++)
		split[i] = (uint8_t)a.at[i];
	memcpy(&bytes, split, sizeof bytes);
	return bytes;
}

INLINE lanes add_bytes(lanes a, lanes b)
{
	for (int i = 0; i < 8; i++)
		a.at[i] = (int16_t)((a.at[i] + b.at[i]) & 255);
	return a;
}

INLINE lanes half_sum(lanes a, lanes b)
{
	for (int i = 0; i < 8; i++)
		a.at[i] = (int16_t)((a.at[i] + b.at[i]) >> 1);
	return a;
}

INLINE lanes paeth(lanes left, lanes above, lanes corner)
{
	for (int i = 0; i < 8; i++) {
		int limit = 3 * corner.at[i] - above.at[i] - left.at[i];
		int low = left.at[i] < above.at[i] ? left.at[i] : above.at[i];
		int high = left.at[i] < above.at[i] ? above.at[i] : left.at[i];

		left.at[i] = (int16_t)(limit <= low ? high : high <= limit ? low : corner.at[i]);
	}
	return left;
}

#endif

enum filter {
	FILTER_SUB = 1,
	FILTER_AVERAGE = 3,
	FILTER_PAETH = 4,
};

INLINE uint64_t load(const uint8_t *from, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, bytes);
	return value;
}

/* The pixels from `at` on, with reads and writes of `width` bytes at a time; stops where these
 * would reach over the end. */
INLINE size_t undo(enum filter filter, size_t pixel, size_t width, size_t at, uint8_t *restrict row,
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size)
{
	lanes left = lanes_from(at ? load(row + at - pixel, pixel) : 0);
	lanes corner = lanes_from(at ? load(above + at - pixel, pixel) : 0);

	for (; size - at >= width; at += pixel) {
		lanes delta = lanes_from(load(source + at, width)), up = left;
		uint64_t bytes;

		if (filter != FILTER_SUB)
			up = lanes_from(load(above + at, width));
		if (filter == FILTER_SUB)
			left = add_bytes(delta, left);
		if (filter == FILTER_AVERAGE)
			left = add_bytes(delta, half_sum(left, up));
		if (filter == FILTER_PAETH)
			left = add_bytes(delta, paeth(left, up, corner));
		corner = up;
		bytes = lanes_to(left);
		memcpy(row + at, &bytes, width);
	}
	return at;
}

/* Lanes that belong to no pixel carry rubbish, which is never kept: a pixel writes over what the
 * one before it wrote too much. */
INLINE void undo_row(enum filter filter, size_t pixel, uint8_t *restrict row,
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size)
{
	size_t at = undo(filter, pixel, pixel <= 4 ? 4 : 8, 0, row, source, above, size);

	undo(filter, pixel, pixel, at, row, source, above, size);
}

static void undo_up(uint8_t *restrict row, const uint8_t *restrict source,
	const uint8_t *restrict above, size_t size)
{
	enum {
		BLOCK = 32 /* an inner loop of constant length becomes vectors */
	};
	size_t i = 0;

	for (; size - i >= BLOCK; i += BLOCK)
		for (unsigned k = 0; k < BLOCK; k++)
			row[i + k] = (uint8_t)(source[i + k] + above[i + k]);
	for (; i < size; i++)
		row[i] = (uint8_t)(source[i] + above[i]);
}

#define UNDO_PIXEL(pixel)                                                                   \
	static void undo_##pixel(unsigned filter, uint8_t *restrict row,                    \
		const uint8_t *restrict source, const uint8_t *restrict above, size_t size) \
	{                                                                                   \
		if (filter == FILTER_SUB)                                                   \
			undo_row(FILTER_SUB, pixel, row, source, above, size);              \
		else if (filter == FILTER_AVERAGE)                                          \
			undo_row(FILTER_AVERAGE, pixel, row, source, above, size);          \
		else                                                                        \
			undo_row(FILTER_PAETH, pixel, row, source, above, size);            \
	}

UNDO_PIXEL(1)
UNDO_PIXEL(2)
UNDO_PIXEL(3)
UNDO_PIXEL(4)
UNDO_PIXEL(6)
UNDO_PIXEL(8)

void png_unfilter(unsigned filter, unsigned pixel, uint8_t *restrict row,
	const uint8_t *restrict source, const uint8_t *restrict above, size_t size)
{
	static void (*const undo_pixel[9])(unsigned, uint8_t *restrict, const uint8_t *restrict,
		const uint8_t *restrict, size_t) = {
		[1] = undo_1, [2] = undo_2, [3] = undo_3, [4] = undo_4, [6] = undo_6, [8] = undo_8};

	if (filter == 0)
		memcpy(row, source, size);
	else if (filter == 2)
		undo_up(row, source, above, size);
	else
		undo_pixel[pixel](filter, row, source, above, size);
}
