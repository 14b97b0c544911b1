/*
 * inflate_zlib against zlib: what the one takes the other takes, and it is the same.
 *
 * The first byte of an input says what else is made of it, so that most of what the fuzzer tries is
 * more than a wrong checksum: the header, the checksum, and a block's codes out of any lengths.
 */
#include "fuzz.h"

#include "image/inflate.h"

#include <string.h>

#include <zlib.h>

enum {
	OUT_MAX = 1 << 16,
	IN_MAX = 1 << 16,
};

/* Bits of an input's first byte. */
enum {
	AS_IT_IS = 1,   /* header and checksum are those of the input */
	WITH_CODES = 2, /* the next bytes are lengths of codes */
	UNFINISHED = 4, /* which are not made complete */
	SIZE_OFF = 8,   /* one byte too many is asked for; or with the next, too few */
	SIZE_OFF_DOWN = 16,
	WITHOUT_CHECKSUM = 32,
};

struct source {
	uint8_t data[IN_MAX + 1024];
	size_t bits;
};

static void put(struct source *source, unsigned bits, unsigned count)
{
	for (; count > 0; count--, bits >>= 1, source->bits++)
		if (bits & 1)
			source->data[source->bits / 8] |= (uint8_t)(1U << source->bits % 8);
}

/* Lengths of which no code is too many and, if they are finished, none is missing. */
static void make_lengths(
	uint8_t *lengths, unsigned count, const uint8_t *from, size_t size, bool finished)
{
	unsigned left = 1U << 15;

	for (unsigned i = 0; i < count; i++) {
		uint8_t length = size ? from[i % size] & 15 : 0;

		if (length && 1U << (15 - length) > left)
			length = 0;
		lengths[i] = length;
		left -= length ? 1U << (15 - length) : 0;
	}
	for (unsigned i = 0; finished && i < count; i++)
		if (lengths[i] == 0 && left > 0) {
			lengths[i] = (uint8_t)(15 - __builtin_ctz(left));
			left &= left - 1;
		}
}

/* A block's head, by a code of lengths in which each of 0 to 15 has four bits. Returns how much of
 * the input it took. */
static size_t put_codes(struct source *source, const uint8_t *data, size_t size, bool finished)
{
	static const uint8_t order[19] = {
		16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
	uint8_t lengths[288 + 32];
	unsigned litlens, distances, used;

	if (size < 3)
		return 0;
	litlens = 257 + data[0] % 32;
	distances = 1 + data[1] % 32;
	used = data[2] < size - 3 ? data[2] : (unsigned)size - 3;
	make_lengths(lengths, litlens, data + 3, used, finished);
	make_lengths(lengths + litlens, distances, data + 3 + used / 2, used / 2, finished);
	put(source, 5, 3);
	put(source, litlens - 257, 5);
	put(source, distances - 1, 5);
	put(source, 15, 4);
	for (unsigned i = 0; i < 19; i++)
		put(source, order[i] < 16 ? 4 : 0, 3);
	for (unsigned i = 0; i < litlens + distances; i++)
		for (unsigned k = 4; k-- > 0;)
			put(source, lengths[i] >> k & 1, 1);
	return 3 + used;
}

static void make_source(struct source *source, const uint8_t *data, size_t size)
{
	unsigned kind = data[0];

	memset(source, 0, sizeof *source);
	data++;
	size--;
	if (!(kind & AS_IT_IS))
		put(source, 0x9c78, 16);
	if (kind & WITH_CODES) {
		size_t used = put_codes(source, data, size, !(kind & UNFINISHED));

		data += used;
		size -= used;
	}
	for (size_t i = 0; i < size; i++)
		put(source, data[i], 8);
	source->bits = (source->bits + 7) / 8 * 8;
}

/* Puts the right checksum where the data end. */
static void put_checksum(struct source *source)
{
	static uint8_t out[OUT_MAX];
	z_stream zip = {.next_in = source->data + 2,
		.avail_in = (uInt)(source->bits / 8 - 2),
		.next_out = out,
		.avail_out = sizeof out};
	uint32_t sum;

	FUZZ_CHECK(inflateInit2(&zip, -15) == Z_OK);
	if (inflate(&zip, Z_FINISH) == Z_STREAM_END) {
		memset(zip.next_in, 0, zip.avail_in);
		source->bits -= 8 * zip.avail_in;
	}
	sum = (uint32_t)adler32(1, out, (uInt)zip.total_out);
	for (int i = 3; i >= 0; i--)
		put(source, sum >> 8 * i & 255, 8);
	inflateEnd(&zip);
}

/* The same in pieces of the source and of the room, which are as small as they may be. */
static void compare_pieces(const uint8_t *source, size_t size, size_t target_size,
	const uint8_t *wanted, bool is_right)
{
	enum {
		ROOM = INFLATE_WINDOW + INFLATE_LEFT_MAX + 1,
		PIECE = INFLATE_HUNGRY + 100
	};
	static uint8_t room[ROOM], piece[INFLATE_BEHIND + PIECE];
	static struct inflater work;
	size_t given = size < PIECE ? size : PIECE, taken = 0;
	uint8_t *next = room;
	bool right;

	memcpy(piece + INFLATE_BEHIND, source, given);
	memset(&work, 0xff, sizeof work);
	right = inflate_begin(
		&work, piece + INFLATE_BEHIND, given, given < size, room, sizeof room, target_size);
	while (right && (right = inflate_next(&work))) {
		const size_t some = (size_t)(work.stream.out - next);

		FUZZ_CHECK(!is_right || memcmp(next, wanted + taken, some) == 0);
		taken += some;
		if (work.block == INFLATE_WHOLE)
			break;
		if (inflate_is_hungry(&work)) {
			const size_t left = (size_t)(work.stream.in_end - work.stream.in);
			const size_t more = size - given < PIECE - left ? size - given
									: PIECE - left;

			memmove(piece, work.stream.in - INFLATE_BEHIND, INFLATE_BEHIND + left);
			memcpy(piece + INFLATE_BEHIND + left, source + given, more);
			given += more;
			inflate_feed(&work, piece + INFLATE_BEHIND, left + more, given < size);
		}
		next = inflate_make_way(&work, work.stream.out);
	}
	FUZZ_CHECK(right == is_right && (!right || taken == target_size));
}

static void compare(const uint8_t *source, size_t size, unsigned kind)
{
	static uint8_t wanted[OUT_MAX + 1];
	static struct inflater work;
	z_stream zip = {.next_in = (uint8_t *)source,
		.avail_in = (uInt)size,
		.next_out = wanted,
		.avail_out = sizeof wanted};
	size_t target_size;
	uint8_t *target;
	bool taken;

	FUZZ_CHECK(inflateInit(&zip) == Z_OK);
	taken = inflate(&zip, Z_FINISH) == Z_STREAM_END && zip.avail_in == 0;
	inflateEnd(&zip);
	target_size = zip.total_out;
	if (kind & SIZE_OFF)
		target_size += kind & SIZE_OFF_DOWN && target_size > 0 ? (size_t)-1 : 1;
	target = malloc(target_size ? target_size : 1);
	FUZZ_CHECK(target);
	memset(&work, 0xff, sizeof work);
	if (inflate_zlib(&work, source, size, target, target_size))
		FUZZ_CHECK(taken && target_size == zip.total_out &&
			   memcmp(target, wanted, target_size) == 0);
	else
		FUZZ_CHECK(!taken || target_size != zip.total_out);
	compare_pieces(source, size, target_size, target, taken && target_size == zip.total_out);
	free(target);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	FUZZ_CHECK(inflate_prepare(NULL) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct source source;
	uint8_t *copy;

	if (size < 1 || size > IN_MAX)
		return 0;
	make_source(&source, data, size);
	if (!(data[0] & (AS_IT_IS | WITHOUT_CHECKSUM)))
		put_checksum(&source);
	/* of just that size, so that a sanitizer sees what is read beyond it */
	copy = malloc(source.bits / 8 ? source.bits / 8 : 1);
	FUZZ_CHECK(copy);
	memcpy(copy, source.data, source.bits / 8);
	compare(copy, source.bits / 8, data[0]);
	free(copy);
	return 0;
}
