/*
 * The same as png_lanes.h has, without a vector unit.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define PLAIN_INLINE static inline __attribute__((always_inline))

typedef struct {
	int16_t at[8];
} lanes;

typedef struct {
	uint8_t at[16];
} bytes16;

PLAIN_INLINE bytes16 bytes_from(uint64_t first)
{
	bytes16 a = {{0}};

	memcpy(a.at, &first, sizeof first);
	return a;
}

PLAIN_INLINE uint64_t bytes_first(bytes16 a)
{
	uint64_t first;

	memcpy(&first, a.at, sizeof first);
	return first;
}

PLAIN_INLINE uint64_t bytes_second(bytes16 a)
{
	uint64_t second;

	memcpy(&second, a.at + 8, sizeof second);
	return second;
}

PLAIN_INLINE bytes16 zip(const uint8_t *a, const uint8_t *b)
{
	bytes16 zipped;

	for (int i = 0; i < 8; i++) {
		zipped.at[2 * i] = a[i];
		zipped.at[2 * i + 1] = b[i];
	}
	return zipped;
}

PLAIN_INLINE bytes16 zip_first(bytes16 a, bytes16 b)
{
	return zip(a.at, b.at);
}

PLAIN_INLINE bytes16 zip_second(bytes16 a, bytes16 b)
{
	return zip(a.at + 8, b.at + 8);
}

PLAIN_INLINE lanes lanes_of(const uint8_t *bytes)
{
	lanes a;

	for (int i = 0; i < 8; i++)
		a.at[i] = bytes[i];
	return a;
}

PLAIN_INLINE lanes lanes_of_first(bytes16 a)
{
	return lanes_of(a.at);
}

PLAIN_INLINE lanes lanes_of_second(bytes16 a)
{
	return lanes_of(a.at + 8);
}

PLAIN_INLINE bytes16 bytes_of(lanes first, lanes second)
{
	bytes16 a;

	for (int i = 0; i < 8; i++) {
		a.at[i] = (uint8_t)first.at[i];
		a.at[8 + i] = (uint8_t)second.at[i];
	}
	return a;
}

PLAIN_INLINE lanes lanes_from(uint64_t bytes)
{
	return lanes_of_first(bytes_from(bytes));
}

PLAIN_INLINE uint64_t lanes_to(lanes a)
{
	return bytes_first(bytes_of(a, a));
}

PLAIN_INLINE lanes add_bytes(lanes a, lanes b)
{
	for (int i = 0; i < 8; i++)
		a.at[i] = (int16_t)((a.at[i] + b.at[i]) & 255);
	return a;
}

PLAIN_INLINE lanes half_sum(lanes a, lanes b)
{
	for (int i = 0; i < 8; i++)
		a.at[i] = (int16_t)((a.at[i] + b.at[i]) >> 1);
	return a;
}

PLAIN_INLINE lanes paeth(lanes left, lanes above, lanes corner)
{
	for (int i = 0; i < 8; i++) {
		int limit = 3 * corner.at[i] - above.at[i] - left.at[i];
		int low = left.at[i] < above.at[i] ? left.at[i] : above.at[i];
		int high = left.at[i] < above.at[i] ? above.at[i] : left.at[i];

		left.at[i] = (int16_t)(limit <= low ? high : high <= limit ? low : corner.at[i]);
	}
	return left;
}

PLAIN_INLINE lanes lanes_and(lanes a, lanes b)
{
	for (int i = 0; i < 8; i++)
		a.at[i] &= b.at[i];
	return a;
}

PLAIN_INLINE lanes lanes_or(lanes a, lanes b)
{
	for (int i = 0; i < 8; i++)
		a.at[i] |= b.at[i];
	return a;
}

PLAIN_INLINE lanes lanes_shift_in(lanes a, uint8_t first)
{
	for (int i = 7; i > 0; i--)
		a.at[i] = a.at[i - 1];
	a.at[0] = first;
	return a;
}

PLAIN_INLINE lanes join_first(lanes a, lanes b)
{
	memcpy(a.at + 4, b.at, 4 * sizeof *a.at);
	return a;
}

PLAIN_INLINE lanes join_second_first(lanes a, lanes b)
{
	memcpy(a.at, a.at + 4, 4 * sizeof *a.at);
	memcpy(a.at + 4, b.at, 4 * sizeof *a.at);
	return a;
}
