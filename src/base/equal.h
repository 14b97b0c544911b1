/* Whether so many bytes are equal, without a call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t equal_lanes __attribute__((vector_size(16), aligned(1), may_alias));

#define EQUAL_ALIGNMENT sizeof(equal_lanes)

static inline bool equal_none(equal_lanes differences)
{
	return !(differences[0] | differences[1]);
}

/* Where 16 bytes differ. */
static inline equal_lanes equal_differences_16(const void *a, const void *aligned)
{
	const equal_lanes *x = a, *y = __builtin_assume_aligned(aligned, EQUAL_ALIGNMENT);

	return *x ^ *y;
}

/* Where 64 bytes differ. Of the two, the one that is mostly the same is aligned. */
static inline equal_lanes equal_differences_64(const void *a, const void *aligned)
{
	const equal_lanes *x = a, *y = __builtin_assume_aligned(aligned, EQUAL_ALIGNMENT);

	return (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]);
}

/* Whether 80 bytes are equal, the second ones aligned. */
static inline bool equal_80(const void *a, const void *aligned)
{
	const equal_lanes *x = a, *y = __builtin_assume_aligned(aligned, EQUAL_ALIGNMENT);

	return equal_none(equal_differences_64(a, aligned) | (x[4] ^ y[4]));
}

/* Where fewer bytes than equal_lanes has differ. */
static inline equal_lanes equal_differences_few(const uint8_t *a, const uint8_t *b, size_t size)
{
	uint64_t x[2], y[2];

	if (size < sizeof *x)
		return (equal_lanes){memcmp(a, b, size) != 0};
	memcpy(&x[0], a, sizeof *x);
	memcpy(&y[0], b, sizeof *y);
	memcpy(&x[1], a + size - sizeof *x, sizeof *x);
	memcpy(&y[1], b + size - sizeof *y, sizeof *y);
	return (equal_lanes){x[0] ^ y[0], x[1] ^ y[1]};
}

/* Where bytes differ, of a number that is known only later. */
static inline equal_lanes equal_differences(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;
	equal_lanes different;

	if (size < sizeof different)
		return equal_differences_few(x, y, size);
	/* The last ones may be among those before, too. */
	different = *(const equal_lanes *)(x + size - sizeof different) ^
		    *(const equal_lanes *)(y + size - sizeof different);
	for (size_t at = 0; at + sizeof different < size; at += sizeof different)
		different |= *(const equal_lanes *)(x + at) ^ *(const equal_lanes *)(y + at);
	return different;
}
