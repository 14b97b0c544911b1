#include "image/inflate_loop.h"

#include <string.h>

enum {
	/* What a round may read and write, whatever it is needed for. */
	IN_SLACK = 32,
	OUT_SLACK = INFLATE_LENGTH_MAX + 64,
};

/* Reads 8 bytes, of which it keeps what there is room for: no branch depends on it. */
INFLATE_INLINE void refill_fast(struct inflate_stream *stream)
{
	uint64_t next;

	memcpy(&next, stream->in, sizeof next);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	next = __builtin_bswap64(next);
#endif
	stream->bits |= next << (stream->count & 63);
	stream->in += 7 - (stream->count >> 3 & 7);
	stream->count |= INFLATE_REFILLED;
}

INFLATE_INLINE void put_literals(struct inflate_stream *stream, uint32_t entry)
{
	uint16_t literals = (uint16_t)(entry >> 16);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	literals = __builtin_bswap16(literals);
#endif
	memcpy(stream->out, &literals, sizeof literals);
	stream->out += entry >> 8 & 3;
	inflate_drop(stream, entry);
}

struct bytes16 {
	uint8_t at[16];
};

/* What is at `from` is there before `to` is written: 8 and 16 bytes in one go. */
INFLATE_INLINE void copy8(uint8_t *to, const uint8_t *from)
{
	uint64_t bytes;

	memcpy(&bytes, from, sizeof bytes);
	memcpy(to, &bytes, sizeof bytes);
}

INFLATE_INLINE void copy16(uint8_t *to, const uint8_t *from)
{
	struct bytes16 bytes;

	memcpy(&bytes, from, sizeof bytes);
	memcpy(to, &bytes, sizeof bytes);
}

/* Bytes that repeat after `distance`, which is below 16. */
INFLATE_INLINE void repeat(uint8_t *to, size_t distance, const uint8_t *end)
{
	/* the largest multiples up to 16 */
	static const uint8_t steps[] = {
		0, 16, 16, 15, 16, 15, 12, 14, 16, 9, 10, 11, 12, 13, 14, 15};
	const uint8_t *from = to - distance;
	const size_t step = steps[distance];
	struct bytes16 pattern;

	if (distance == 1) {
		memset(&pattern, *from, sizeof pattern);
	} else {
		uint8_t *grown = to;

		/* What repeats after `distance` does so after twice as many, too. */
		for (; distance < 16; distance *= 2) {
			copy8(grown, from);
			grown += distance;
		}
		memcpy(&pattern, from, sizeof pattern);
	}
	for (; to < end; to += 2 * step) {
		memcpy(to, &pattern, sizeof pattern);
		memcpy(to + step, &pattern, sizeof pattern);
	}
}

/* Section 3.2.3: "the referenced string may overlap the current position". */
INFLATE_INLINE void copy_match(uint8_t *to, size_t distance, size_t length)
{
	const uint8_t *from = to - distance, *end = to + length;

	if (distance < 16) {
		repeat(to, distance, end);
		return;
	}
	do {
		copy16(to, from);
		copy16(to + 16, from + 16);
		to += 32;
		from += 32;
	} while (to < end);
}

/* Up to three entries of literals, if there are any, and a refill. Returns the next entry. */
INFLATE_INLINE uint32_t take_literals(
	const struct inflater *work, struct inflate_stream *stream, uint32_t entry)
{
	if (!(entry & INFLATE_LITERALS))
		return entry;
	put_literals(stream, entry);
	entry = inflate_next_litlen(work, stream);
	if (entry & INFLATE_LITERALS) {
		put_literals(stream, entry);
		entry = inflate_next_litlen(work, stream);
		if (entry & INFLATE_LITERALS) {
			put_literals(stream, entry);
			entry = inflate_next_litlen(work, stream);
		}
	}
	refill_fast(stream);
	return entry;
}

/* What an entry of no literals says, and the next entry; after a refill. */
INFLATE_INLINE enum inflate_outcome take_match(
	const struct inflater *work, struct inflate_stream *stream, uint32_t entry, uint32_t *next)
{
	uint32_t length, distance;

	if (entry & (INFLATE_SECOND | INFLATE_STOP)) {
		entry = inflate_look_further(stream, work->litlen, entry);
		if (entry & INFLATE_STOP)
			return inflate_stop(stream, entry);
		if (entry & INFLATE_LITERALS) {
			put_literals(stream, entry);
			*next = inflate_next_litlen(work, stream);
			refill_fast(stream);
			return INFLATE_GO_ON;
		}
	}
	length = inflate_take_value(stream, entry);
	entry = inflate_next_distance(work, stream);
	if (entry & (INFLATE_SECOND | INFLATE_STOP)) {
		entry = inflate_look_further(stream, work->distance, entry);
		if (entry & INFLATE_STOP)
			return INFLATE_BROKEN;
	}
	distance = inflate_take_value(stream, entry);
	if (distance > (size_t)(stream->out - stream->out_begin))
		return INFLATE_BROKEN;
	refill_fast(stream);
	*next = inflate_next_litlen(work, stream);
	copy_match(stream->out, distance, length);
	stream->out += length;
	return INFLATE_GO_ON;
}

INFLATE_INLINE enum inflate_outcome decode(
	const struct inflater *work, struct inflate_stream *state)
{
	struct inflate_stream stream = *state;
	enum inflate_outcome outcome = INFLATE_GO_ON;
	const uint8_t *in_end, *out_end;
	uint32_t entry;

	if (stream.in_end - stream.in < IN_SLACK || stream.out_end - stream.out < OUT_SLACK)
		return INFLATE_GO_ON;
	in_end = stream.in_end - IN_SLACK;
	out_end = stream.out_end - OUT_SLACK;
	refill_fast(&stream);
	entry = inflate_next_litlen(work, &stream);
	while (outcome == INFLATE_GO_ON && stream.in < in_end && stream.out < out_end) {
		entry = take_literals(work, &stream, entry);
		if (!(entry & INFLATE_LITERALS))
			outcome = take_match(work, &stream, entry, &entry);
	}
	state->bits = stream.bits;
	state->count = stream.count;
	state->in = stream.in;
	state->out = stream.out;
	return outcome;
}

#if defined(__x86_64__)

/* Shifts by any register, not by one alone. */
__attribute__((target("bmi2"))) static enum inflate_outcome decode_bmi2(
	const struct inflater *work, struct inflate_stream *stream)
{
	return decode(work, stream);
}

static bool has_bmi2(void)
{
	return __builtin_cpu_supports("bmi2");
}

#else

static enum inflate_outcome decode_bmi2(const struct inflater *work, struct inflate_stream *stream)
{
	return decode(work, stream);
}

static bool has_bmi2(void)
{
	return true;
}

#endif

enum inflate_outcome inflate_loop(const struct inflater *work, struct inflate_stream *stream)
{
	return has_bmi2() ? decode_bmi2(work, stream) : decode(work, stream);
}
