#include "image/inflate.h"

#include "image/checksum.h"
#include "image/inflate_loop.h"
#include "image/png_chunks.h"

#include <string.h>

enum {
	END_OF_BLOCK = 256,
};

static void refill(struct inflate_stream *stream)
{
	for (stream->count &= 255; stream->count < INFLATE_REFILLED; stream->count += 8)
		if (stream->in < stream->in_end)
			stream->bits |= (uint64_t)*stream->in++ << stream->count;
		else
			stream->missing++;
}

/* Whether bits from behind the end were used. */
static bool is_overdrawn(const struct inflate_stream *stream)
{
	return stream->missing > (stream->count & 255) / 8;
}

static unsigned take(struct inflate_stream *stream, unsigned count)
{
	unsigned bits = inflate_low_bits(stream, count);

	inflate_drop(stream, count);
	return bits;
}

/* Goes on with the next whole byte, without any bits. */
static bool align(struct inflate_stream *stream)
{
	if (is_overdrawn(stream))
		return false;
	stream->in -= (stream->count & 255) / 8 - stream->missing;
	stream->bits = stream->count = stream->missing = 0;
	return true;
}

static enum inflate_outcome put_one_by_one(struct inflate_stream *stream, uint32_t entry)
{
	unsigned count = entry >> 8 & 3;

	inflate_drop(stream, entry);
	for (entry >>= 16; count > 0; count--, entry >>= 8) {
		if (stream->out == stream->out_end)
			return INFLATE_BROKEN;
		*stream->out++ = (uint8_t)entry;
	}
	return INFLATE_GO_ON;
}

/* One entry, wherever input and output end. */
static enum inflate_outcome decode_step(const struct inflater *work, struct inflate_stream *stream)
{
	uint32_t entry, length, distance;

	refill(stream);
	if (is_overdrawn(stream))
		return INFLATE_BROKEN;
	entry = inflate_look_further(stream, work->litlen, inflate_next_litlen(work, stream));
	if (entry & INFLATE_LITERALS)
		return put_one_by_one(stream, entry);
	if (entry & INFLATE_STOP)
		return inflate_stop(stream, entry);
	length = inflate_take_value(stream, entry);
	entry = inflate_look_further(stream, work->distance, inflate_next_distance(work, stream));
	if (entry & INFLATE_STOP)
		return INFLATE_BROKEN;
	distance = inflate_take_value(stream, entry);
	if (distance > (size_t)(stream->out - stream->out_begin) ||
		length > (size_t)(stream->out_end - stream->out))
		return INFLATE_BROKEN;
	for (; length > 0; length--, stream->out++)
		*stream->out = *(stream->out - distance);
	return INFLATE_GO_ON;
}

static bool decode_block(const struct inflater *work, struct inflate_stream *stream)
{
	enum inflate_outcome outcome = inflate_loop(work, stream);

	while (outcome == INFLATE_GO_ON)
		outcome = decode_step(work, stream);
	return outcome == INFLATE_ENDED;
}

/* The lengths of the codes of a block, by the code of lengths. */
static bool read_lengths(
	const uint32_t *precode, struct inflate_stream *stream, uint8_t *lengths, unsigned count)
{
	for (unsigned i = 0; i < count;) {
		unsigned symbol, times = 1;
		uint32_t entry;

		refill(stream);
		entry = precode[inflate_low_bits(stream, INFLATE_PRECODE_BITS)];
		symbol = inflate_take_value(stream, entry);
		if (symbol == 16)
			times = 3 + take(stream, 2);
		if (symbol == 17)
			times = 3 + take(stream, 3);
		if (symbol == 18)
			times = 11 + take(stream, 7);
		if (times > count - i || (symbol == 16 && i == 0) || is_overdrawn(stream))
			return false;
		memset(lengths + i,
			symbol < 16    ? (int)symbol
			: symbol == 16 ? lengths[i - 1]
				       : 0,
			times);
		i += times;
	}
	return true;
}

/* Section 3.2.7. */
static bool read_codes(struct inflater *work, struct inflate_stream *stream)
{
	static const uint8_t order[INFLATE_PRECODES] = {
		16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
	const unsigned litlens = 257 + take(stream, 5), distances = 1 + take(stream, 5);
	const unsigned precodes = 4 + take(stream, 4);
	uint8_t lengths[INFLATE_LITLENS + INFLATE_DISTANCES] = {0};

	if (litlens > INFLATE_LITLENS || distances > INFLATE_DISTANCES)
		return false;
	for (unsigned i = 0; i < precodes; i++) {
		refill(stream);
		lengths[order[i]] = (uint8_t)take(stream, 3);
	}
	return inflate_make_precode(work->distance, lengths) &&
	       read_lengths(work->distance, stream, lengths, litlens + distances) &&
	       lengths[END_OF_BLOCK] && inflate_make_litlen(work->litlen, lengths, litlens) &&
	       inflate_make_distance(work->distance, lengths + litlens, distances);
}

/* Section 3.2.4. */
static bool copy_stored(struct inflate_stream *stream)
{
	size_t size;

	if (!align(stream) || stream->in_end - stream->in < 4)
		return false;
	size = stream->in[0] | (size_t)stream->in[1] << 8;
	if ((stream->in[2] | (size_t)stream->in[3] << 8) != (size ^ 0xffff))
		return false;
	stream->in += 4;
	if (size > (size_t)(stream->in_end - stream->in) ||
		size > (size_t)(stream->out_end - stream->out))
		return false;
	memcpy(stream->out, stream->in, size);
	stream->in += size;
	stream->out += size;
	return true;
}

/* Section 3.2.3. */
static bool inflate_block(struct inflater *work, struct inflate_stream *stream, unsigned type)
{
	switch (type) {
	case 0:
		return copy_stored(stream);
	case 1:
		inflate_make_fixed(work->litlen, work->distance);
		return decode_block(work, stream);
	case 2:
		return read_codes(work, stream) && decode_block(work, stream);
	}
	return false;
}

/* RFC 1950, section 2.2: no dictionary. */
static bool is_header_valid(const uint8_t *source)
{
	return (source[0] << 8 | source[1]) % 31 == 0 && (source[0] & 15) == 8 &&
	       source[0] >> 4 <= 7 && !(source[1] & 0x20);
}

int inflate_prepare(struct error *err)
{
	return checksum_prepare(err);
}

bool inflate_zlib(struct inflater *work, const uint8_t *restrict source, size_t size,
	uint8_t *restrict target, size_t target_size)
{
	struct inflate_stream stream = {
		.out = target, .out_begin = target, .out_end = target + target_size};
	bool last = false;

	if (size < 2 || !is_header_valid(source))
		return false;
	stream.in = source + 2;
	stream.in_end = source + size;
	while (!last) {
		refill(&stream);
		last = take(&stream, 1);
		if (!inflate_block(work, &stream, take(&stream, 2)))
			return false;
	}
	return align(&stream) && stream.out == stream.out_end && stream.in_end - stream.in == 4 &&
	       checksum_adler32(target, target_size) == read_be32(stream.in);
}
