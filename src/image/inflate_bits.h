/*
 * The bits and symbols of a deflated stream that is being decoded; for inflate.c and inflate_loop.c.
 */
#pragma once

#include "image/inflate.h"

/* Loops that have all this in registers are fast. */
#define INFLATE_INLINE static inline __attribute__((always_inline))

enum {
	INFLATE_REFILLED = 56, /* bits after a refill, at least; no symbol takes more than 48 */
	INFLATE_LENGTH_MAX = 258,
};

enum inflate_outcome {
	INFLATE_GO_ON, /* also: where there is no more room */
	INFLATE_ENDED, /* the block */
	INFLATE_BROKEN,
};

INFLATE_INLINE uint32_t inflate_low_bits(const struct inflate_stream *stream, unsigned count)
{
	return (uint32_t)stream->bits & ((1U << count) - 1);
}

/* As many as an entry says, or a number. */
INFLATE_INLINE void inflate_drop(struct inflate_stream *stream, uint32_t entry)
{
	stream->bits >>= entry & 63;
	stream->count -= entry;
}

INFLATE_INLINE uint32_t inflate_next_litlen(
	const struct inflater *work, const struct inflate_stream *stream)
{
	return work->litlen[inflate_low_bits(stream, INFLATE_LITLEN_BITS)];
}

INFLATE_INLINE uint32_t inflate_next_distance(
	const struct inflater *work, const struct inflate_stream *stream)
{
	return work->distance[inflate_low_bits(stream, INFLATE_DISTANCE_BITS)];
}

/* The symbol of an entry that may be a second table. */
INFLATE_INLINE uint32_t inflate_look_further(
	struct inflate_stream *stream, const uint32_t *table, uint32_t entry)
{
	if (!(entry & INFLATE_SECOND))
		return entry;
	inflate_drop(stream, entry);
	return table[(entry >> INFLATE_BASE_SHIFT) +
		     inflate_low_bits(stream, entry >> INFLATE_CODE_SHIFT & 15)];
}

/* A length or a distance. */
INFLATE_INLINE uint32_t inflate_take_value(struct inflate_stream *stream, uint32_t entry)
{
	const uint32_t bits = inflate_low_bits(stream, entry & 31) >>
			      (entry >> INFLATE_CODE_SHIFT & 15);

	inflate_drop(stream, entry);
	return (entry >> INFLATE_BASE_SHIFT) + bits;
}

INFLATE_INLINE enum inflate_outcome inflate_stop(struct inflate_stream *stream, uint32_t entry)
{
	inflate_drop(stream, entry);
	return entry >> INFLATE_BASE_SHIFT ? INFLATE_BROKEN : INFLATE_ENDED;
}
