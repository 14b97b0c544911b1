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

/* Less room than a symbol may want, and more of it later. */
static bool is_full(const struct inflater *work)
{
	return work->beyond > 0 && work->stream.out_end - work->stream.out < INFLATE_LENGTH_MAX;
}

bool inflate_is_hungry(const struct inflater *work)
{
	return work->more && work->stream.in_end - work->stream.in < INFLATE_HUNGRY;
}

static enum inflate_outcome decode_block(struct inflater *work)
{
	enum inflate_outcome outcome = inflate_loop(work, &work->stream);

	while (outcome == INFLATE_GO_ON && !is_full(work) && !inflate_is_hungry(work))
		outcome = decode_step(work, &work->stream);
	return outcome;
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
static bool begin_stored(struct inflater *work)
{
	struct inflate_stream *stream = &work->stream;

	if (!align(stream) || stream->in_end - stream->in < 4)
		return false;
	work->stored = stream->in[0] | (size_t)stream->in[1] << 8;
	if ((stream->in[2] | (size_t)stream->in[3] << 8) != (work->stored ^ 0xffff))
		return false;
	stream->in += 4;
	return work->more || work->stored <= (size_t)(stream->in_end - stream->in);
}

static enum inflate_outcome copy_stored(struct inflater *work)
{
	struct inflate_stream *stream = &work->stream;
	const size_t there = (size_t)(stream->in_end - stream->in);
	const size_t room = (size_t)(stream->out_end - stream->out);
	size_t size = work->stored < room ? work->stored : room;

	if (size > there)
		size = there;
	memcpy(stream->out, stream->in, size);
	stream->in += size;
	stream->out += size;
	work->stored -= size;
	if (work->stored == 0)
		return INFLATE_ENDED;
	return is_full(work) || inflate_is_hungry(work) ? INFLATE_GO_ON : INFLATE_BROKEN;
}

/* Section 3.2.3. */
static bool begin_block(struct inflater *work)
{
	struct inflate_stream *stream = &work->stream;

	refill(stream);
	work->last = take(stream, 1);
	switch (take(stream, 2)) {
	case 0:
		work->block = INFLATE_STORED;
		return begin_stored(work);
	case 1:
		work->block = INFLATE_CODED;
		inflate_make_fixed(work->litlen, work->distance);
		return true;
	case 2:
		work->block = INFLATE_CODED;
		return read_codes(work, stream);
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

bool inflate_begin(struct inflater *work, const uint8_t *source, size_t size, bool more,
	uint8_t *target, size_t room, size_t target_size)
{
	const size_t first = room < target_size ? room : target_size;

	if (size < 2 || !is_header_valid(source))
		return false;
	work->stream = (struct inflate_stream){.in = source + 2,
		.in_end = source + size,
		.out = target,
		.out_begin = target,
		.out_end = target + first};
	work->beyond = target_size - first;
	work->more = more;
	work->unsummed = target;
	work->sum = 1;
	work->block = INFLATE_BETWEEN;
	work->last = false;
	return true;
}

static void sum_up(struct inflater *work)
{
	uint8_t *out = work->stream.out;

	work->sum = checksum_adler32(work->sum, work->unsummed, (size_t)(out - work->unsummed));
	work->unsummed = out;
}

/* Behind the last block. */
static bool is_whole(struct inflater *work)
{
	struct inflate_stream *stream = &work->stream;

	if (!align(stream) || stream->out != stream->out_end || work->beyond > 0 ||
		stream->in_end - stream->in != 4 || work->more)
		return false;
	sum_up(work);
	work->block = INFLATE_WHOLE;
	return work->sum == read_be32(stream->in);
}

bool inflate_next(struct inflater *work)
{
	while (work->block != INFLATE_WHOLE && !is_full(work) && !inflate_is_hungry(work)) {
		enum inflate_outcome outcome;

		if (work->block == INFLATE_BETWEEN) {
			if (work->last ? !is_whole(work) : !begin_block(work))
				return false;
			continue;
		}
		outcome = work->block == INFLATE_STORED ? copy_stored(work) : decode_block(work);
		if (outcome == INFLATE_BROKEN)
			return false;
		if (outcome == INFLATE_ENDED)
			work->block = INFLATE_BETWEEN;
	}
	sum_up(work);
	return true;
}

void inflate_feed(struct inflater *work, const uint8_t *source, size_t size, bool more)
{
	work->stream.in = source;
	work->stream.in_end = source + size;
	work->more = more;
}

uint8_t *inflate_make_way(struct inflater *work, uint8_t *from)
{
	struct inflate_stream *stream = &work->stream;
	uint8_t *first = from, *begin = stream->out_begin;
	size_t more;

	if (stream->out - first < INFLATE_WINDOW)
		first = stream->out - begin < INFLATE_WINDOW ? begin : stream->out - INFLATE_WINDOW;
	more = (size_t)(first - begin) < work->beyond ? (size_t)(first - begin) : work->beyond;
	memmove(begin, first, (size_t)(stream->out - first));
	stream->out -= first - begin;
	stream->out_end -= first - begin;
	stream->out_end += more;
	work->unsummed = stream->out;
	work->beyond -= more;
	return from - (first - begin);
}

bool inflate_zlib(struct inflater *work, const uint8_t *restrict source, size_t size,
	uint8_t *restrict target, size_t target_size)
{
	return inflate_begin(work, source, size, false, target, target_size, target_size) &&
	       inflate_next(work);
}
