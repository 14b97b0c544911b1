/* Whether so many bytes are equal, of a number that is known when this is compiled: without a call. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t equal_lanes __attribute__((vector_size(16), aligned(1), may_alias));

static inline equal_lanes equal_differences(const void *a, const void *b)
{
	const equal_lanes *x = a, *y = b;

	return (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]);
}

static inline bool equal_64(const void *a, const void *b)
{
	equal_lanes different = equal_differences(a, b);

	return !(different[0] | different[1]);
}

static inline bool equal_80(const void *a, const void *b)
{
	const equal_lanes *x = a, *y = b;
	equal_lanes different = equal_differences(a, b) | (x[4] ^ y[4]);

	return !(different[0] | different[1]);
}
