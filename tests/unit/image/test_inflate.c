/* What inflate_zlib and inflate_next take and refuse, beside zlib; and what they make of it. */
#include "test.h"

#include "image/inflate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum {
	ROOM = 1 << 16,
	LITLENS = 288,
	DISTANCES = 32,
	PRECODES = 19,
};

/* A stream in the making. */
struct stream {
	uint8_t data[ROOM];
	size_t bits;
	uint8_t litlens[LITLENS], distances[DISTANCES]; /* lengths of the codes in use */
};

static void put(struct stream *stream, unsigned bits, unsigned count)
{
	for (; count > 0; count--, bits >>= 1, stream->bits++)
		if (bits & 1)
			stream->data[stream->bits / 8] |= (uint8_t)(1U << stream->bits % 8);
}

/* A Huffman code, which RFC 1951 has in section 3.2.2, and the other way round than numbers. */
static void put_code(struct stream *stream, const uint8_t *lengths, unsigned count, unsigned symbol)
{
	unsigned code = 0;

	for (unsigned length = 1; length <= lengths[symbol]; length++) {
		code <<= 1;
		for (unsigned i = 0; i < count; i++)
			if (lengths[i] == length && (length < lengths[symbol] || i < symbol))
				code++;
	}
	for (unsigned i = lengths[symbol]; i-- > 0;)
		put(stream, code >> i & 1, 1);
}

static void put_litlen(struct stream *stream, unsigned symbol)
{
	put_code(stream, stream->litlens, LITLENS, symbol);
}

static void put_distance(struct stream *stream, unsigned symbol)
{
	put_code(stream, stream->distances, DISTANCES, symbol);
}

static void begin_fixed(struct stream *stream)
{
	put(stream, 3, 3);
	memset(stream->litlens, 8, 144);
	memset(stream->litlens + 144, 9, 112);
	memset(stream->litlens + 256, 7, 24);
	memset(stream->litlens + 280, 8, 8);
	memset(stream->distances, 5, 32);
}

/* The lengths in the stream, by a code of lengths in which 0 to 15 have four bits each. */
static void begin_dynamic(struct stream *stream, unsigned litlens, unsigned distances)
{
	static const uint8_t order[PRECODES] = {
		16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

	put(stream, 5, 3);
	put(stream, litlens - 257, 5);
	put(stream, distances - 1, 5);
	put(stream, PRECODES - 4, 4);
	for (unsigned i = 0; i < PRECODES; i++)
		put(stream, order[i] < 16 ? 4 : 0, 3);
	for (unsigned i = 0; i < litlens + distances; i++) {
		unsigned length = i < litlens ? stream->litlens[i] : stream->distances[i - litlens];

		for (unsigned k = 4; k-- > 0;)
			put(stream, length >> k & 1, 1);
	}
}

/* ---- streams ---- */

/* Literals 'a' and 'b', lengths 3 and 258, and the end. */
static void choose_five(struct stream *stream)
{
	stream->litlens['a'] = stream->litlens['b'] = stream->litlens[256] = 2;
	stream->litlens[257] = stream->litlens[285] = 3;
}

static void single_distance(struct stream *stream)
{
	choose_five(stream);
	stream->distances[0] = 1;
	begin_dynamic(stream, 286, 30);
	put_litlen(stream, 'a');
	put_litlen(stream, 285);
	put_distance(stream, 0);
	put_litlen(stream, 256);
}

static void other_bit_of_single_distance(struct stream *stream)
{
	choose_five(stream);
	stream->distances[0] = 1;
	begin_dynamic(stream, 286, 1);
	put_litlen(stream, 'a');
	put_litlen(stream, 257);
	put(stream, 1, 1);
	put_litlen(stream, 256);
}

static void no_distances(struct stream *stream)
{
	choose_five(stream);
	begin_dynamic(stream, 286, 1);
	put_litlen(stream, 'a');
	put_litlen(stream, 256);
}

static void length_without_distances(struct stream *stream)
{
	choose_five(stream);
	begin_dynamic(stream, 286, 1);
	put_litlen(stream, 'a');
	put_litlen(stream, 257);
	put(stream, 0, 1);
	put_litlen(stream, 256);
}

static void end_alone(struct stream *stream)
{
	stream->litlens[256] = 1;
	begin_dynamic(stream, 257, 1);
	put_litlen(stream, 256);
}

static void other_bit_of_end_alone(struct stream *stream)
{
	stream->litlens[256] = 1;
	begin_dynamic(stream, 257, 1);
	put(stream, 1, 1);
	put_litlen(stream, 256);
}

static void end_alone_of_two_bits(struct stream *stream)
{
	stream->litlens[256] = 2;
	begin_dynamic(stream, 257, 1);
	put_litlen(stream, 256);
}

static void no_end(struct stream *stream)
{
	stream->litlens['a'] = stream->litlens['b'] = 1;
	begin_dynamic(stream, 257, 1);
	put_litlen(stream, 'a');
}

static void too_few_litlens(struct stream *stream)
{
	stream->litlens['a'] = stream->litlens[256] = 2;
	begin_dynamic(stream, 257, 1);
	put_litlen(stream, 256);
}

static void too_many_litlens(struct stream *stream)
{
	stream->litlens['a'] = stream->litlens['b'] = stream->litlens[256] = 1;
	begin_dynamic(stream, 257, 1);
	put_litlen(stream, 256);
}

static void too_few_distances(struct stream *stream)
{
	choose_five(stream);
	stream->distances[0] = stream->distances[1] = 2;
	begin_dynamic(stream, 286, 2);
	put_litlen(stream, 256);
}

static void single_distance_of_two_bits(struct stream *stream)
{
	choose_five(stream);
	stream->distances[0] = 2;
	begin_dynamic(stream, 286, 2);
	put_litlen(stream, 256);
}

static void too_many_distances(struct stream *stream)
{
	choose_five(stream);
	stream->distances[0] = stream->distances[1] = stream->distances[2] = 1;
	begin_dynamic(stream, 286, 3);
	put_litlen(stream, 256);
}

static void codes_of_287(struct stream *stream)
{
	choose_five(stream);
	begin_dynamic(stream, 287, 1);
	put_litlen(stream, 256);
}

static void distances_of_31(struct stream *stream)
{
	choose_five(stream);
	begin_dynamic(stream, 286, 31);
	put_litlen(stream, 256);
}

/* Codes of 1 to 15 bits, so that both tables have second ones, each used. */
static void long_codes(struct stream *stream)
{
	for (unsigned i = 1; i <= 13; i++)
		stream->litlens[i == 13 ? 256 : i + 64] = stream->distances[i] = (uint8_t)i;
	stream->litlens['z'] = stream->litlens[257] = stream->litlens[285] = 15;
	stream->litlens[284] = 15;
	stream->distances[0] = stream->distances[14] = stream->distances[15] = 15;
	stream->distances[16] = 15;
	begin_dynamic(stream, 286, 30);
	for (unsigned i = 0; i < 600; i++) {
		put_litlen(stream, i % 7 ? 65 + i % 12 : 'z');
		if (i < 300)
			continue;
		put_litlen(stream, i % 2 ? 257 : 284);
		if (i % 2 == 0)
			put(stream, i % 31, 5);
		put_distance(stream, i % 17);
		put(stream, 0, i % 17 < 4 ? 0 : i % 17 / 2 - 1);
	}
	put_litlen(stream, 256);
}

static void precode(struct stream *stream, const uint8_t lengths[PRECODES])
{
	put(stream, 5, 3);
	put(stream, 0, 10);
	put(stream, PRECODES - 4, 4);
	for (unsigned i = 0; i < PRECODES; i++)
		put(stream, lengths[i], 3);
}

/* In the order 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 15. */
static void no_precodes(struct stream *stream)
{
	static const uint8_t lengths[PRECODES] = {0};

	precode(stream, lengths);
}

static void single_precode(struct stream *stream)
{
	static const uint8_t lengths[PRECODES] = {[17] = 1};

	precode(stream, lengths);
}

static void too_many_precodes(struct stream *stream)
{
	static const uint8_t lengths[PRECODES] = {[3] = 1, [17] = 1, [18] = 1};

	precode(stream, lengths);
}

static void repeats_nothing(struct stream *stream)
{
	static const uint8_t lengths[PRECODES] = {[0] = 1, [17] = 1};

	precode(stream, lengths);
	put(stream, 1, 1);
}

/* 138 and 138 zeros, of 258. */
static void repeats_too_much(struct stream *stream)
{
	static const uint8_t lengths[PRECODES] = {[2] = 1, [17] = 1};

	precode(stream, lengths);
	put(stream, 0xff, 8);
	put(stream, 0xff, 8);
}

/* The last length of the literals is repeated for the distances. */
static void repeats_into_distances(struct stream *stream)
{
	static const uint8_t lengths[PRECODES] = {[0] = 2, [1] = 2, [2] = 2, [17] = 2};

	put(stream, 5, 3);
	put(stream, 1, 5); /* 258 and 2 */
	put(stream, 1, 5);
	put(stream, PRECODES - 4, 4);
	for (unsigned i = 0; i < PRECODES; i++)
		put(stream, lengths[i], 3);
	/* codes: 1 is 00, 16 is 01, 17 is 10, 18 is 11 */
	put(stream, 3, 2);
	put(stream, 127, 7); /* 138 zeros */
	put(stream, 3, 2);
	put(stream, 118 - 11, 7);
	put(stream, 0, 2);
	put(stream, 2, 2);
	put(stream, 0, 2); /* and three times more */
	memset(stream->litlens + 256, 1, 2);
	put_litlen(stream, 256);
}

static void fixed_ab(struct stream *stream)
{
	begin_fixed(stream);
	put_litlen(stream, 'a');
	put_litlen(stream, 'b');
	put_litlen(stream, 257);
	put_distance(stream, 1);
	put_litlen(stream, 256);
}

static void fixed_litlen_286(struct stream *stream)
{
	begin_fixed(stream);
	put_litlen(stream, 286);
	put_litlen(stream, 256);
}

static void fixed_litlen_287(struct stream *stream)
{
	begin_fixed(stream);
	put_litlen(stream, 287);
	put_litlen(stream, 256);
}

static void put_fixed_distance(struct stream *stream, unsigned distance, unsigned bytes)
{
	begin_fixed(stream);
	for (unsigned i = 0; i < bytes; i++)
		put_litlen(stream, i & 127);
	put_litlen(stream, 257);
	put_distance(stream, distance);
	put(stream, 0, distance < 4 ? 0 : distance / 2 - 1);
	put_litlen(stream, 256);
}

static void put_stored(struct stream *stream, unsigned size, unsigned complement)
{
	put(stream, 1, 3);
	stream->bits = (stream->bits + 7) / 8 * 8;
	put(stream, size, 16);
	put(stream, complement, 16);
	for (unsigned i = 0; i < size; i++)
		put(stream, i, 8);
}

static void stored(struct stream *stream)
{
	put_stored(stream, 1000, 1000 ^ 0xffff);
}

static void stored_nothing(struct stream *stream)
{
	put_stored(stream, 0, 0xffff);
}

static void stored_of_odd_size(struct stream *stream)
{
	put_stored(stream, 1000, 1001 ^ 0xffff);
}

static void block_of_type_3(struct stream *stream)
{
	put(stream, 7, 3);
}

static const struct {
	const char *what;
	void (*write)(struct stream *stream);
	bool taken;
} cases[] = {
	{"a single distance", single_distance, true},
	{"what is not the single distance", other_bit_of_single_distance, false},
	{"no distances", no_distances, true},
	{"a length, and no distances", length_without_distances, false},
	{"the end alone", end_alone, true},
	{"what is not the end alone", other_bit_of_end_alone, false},
	{"the end alone, of two bits", end_alone_of_two_bits, false},
	{"no end", no_end, false},
	{"too few literals and lengths", too_few_litlens, false},
	{"too many literals and lengths", too_many_litlens, false},
	{"too few distances", too_few_distances, false},
	{"a single distance of two bits", single_distance_of_two_bits, false},
	{"too many distances", too_many_distances, false},
	{"287 literals and lengths", codes_of_287, false},
	{"31 distances", distances_of_31, false},
	{"codes of up to 15 bits", long_codes, true},
	{"no codes of lengths", no_precodes, false},
	{"a single code of lengths", single_precode, false},
	{"too many codes of lengths", too_many_precodes, false},
	{"nothing repeated", repeats_nothing, false},
	{"too much repeated", repeats_too_much, false},
	{"repeated across the border", repeats_into_distances, true},
	{"fixed codes", fixed_ab, true},
	{"fixed code 286", fixed_litlen_286, false},
	{"fixed code 287", fixed_litlen_287, false},
	{"stored", stored, true},
	{"stored, nothing", stored_nothing, true},
	{"stored, with another size", stored_of_odd_size, false},
	{"a block of type 3", block_of_type_3, false},
};

/* A length of 3 behind so many bytes, at a distance of the fixed codes, whose bits are 0. */
static const struct {
	const char *what;
	unsigned distance, bytes;
	bool taken;
} fixed_distances[] = {
	{"fixed distance 30", 30, 40000, false},
	{"fixed distance 31", 31, 40000, false},
	{"back to the first byte", 2, 3, true},
	{"before the first byte", 2, 2, false},
	{"far back to the first byte", 28, 16385, true},
	{"far before the first byte", 28, 16384, false},
};

/* ---- comparing ---- */

static struct inflater work;

/* In pieces that are as small as they may be. */
static bool is_taken_in_pieces(
	const uint8_t *source, size_t size, const uint8_t *wanted, size_t wanted_size)
{
	enum {
		PIECE = INFLATE_HUNGRY + 1
	};
	static uint8_t room[INFLATE_WINDOW + INFLATE_LEFT_MAX + 1], piece[INFLATE_BEHIND + PIECE];
	size_t given = size < PIECE ? size : PIECE, taken = 0, left = given;
	uint8_t *next = room;

	memcpy(piece + INFLATE_BEHIND, source, given);
	if (!inflate_begin(&work, piece + INFLATE_BEHIND, given, given < size, room, sizeof room,
		    wanted_size))
		return false;
	while (inflate_next(&work)) {
		const size_t some = (size_t)(work.stream.out - next);

		if (wanted)
			assert_memory_equal(next, wanted + taken, some);
		taken += some;
		if (work.block == INFLATE_WHOLE)
			return taken == wanted_size;
		if (inflate_is_hungry(&work)) {
			left = (size_t)(work.stream.in_end - work.stream.in);
			memmove(piece, work.stream.in - INFLATE_BEHIND, INFLATE_BEHIND + left);
			for (; left < PIECE && given < size; left++)
				piece[INFLATE_BEHIND + left] = source[given++];
			inflate_feed(&work, piece + INFLATE_BEHIND, left, given < size);
		}
		next = inflate_make_way(&work, work.stream.out);
	}
	return false;
}

/* In blocks of just their size, so that a sanitizer sees what lies beyond them. */
static bool is_taken(const uint8_t *data, size_t size, const uint8_t *wanted, size_t wanted_size)
{
	uint8_t *source = malloc(size ? size : 1), *target = malloc(wanted_size ? wanted_size : 1);
	bool taken;

	assert_true(source && target);
	memcpy(source, data, size);
	taken = inflate_zlib(&work, source, size, target, wanted_size);
	if (taken && wanted)
		assert_memory_equal(target, wanted, wanted_size);
	assert_int_equal(
		is_taken_in_pieces(source, size, taken ? target : NULL, wanted_size), taken);
	free(source);
	free(target);
	return taken;
}

static bool zlib_takes(const uint8_t *data, size_t size, uint8_t *out, size_t *ret_size)
{
	z_stream zip = {.next_in = (uint8_t *)data,
		.avail_in = (uInt)size,
		.next_out = out,
		.avail_out = 4 * ROOM};
	bool taken;

	assert_int_equal(inflateInit(&zip), Z_OK);
	taken = inflate(&zip, Z_FINISH) == Z_STREAM_END && zip.avail_in == 0;
	*ret_size = zip.total_out;
	inflateEnd(&zip);
	return taken;
}

static uint8_t out[4 * ROOM];

static void put_checksum(struct stream *stream, uint32_t sum)
{
	stream->bits = (stream->bits + 7) / 8 * 8;
	for (int i = 3; i >= 0; i--)
		put(stream, sum >> 8 * i & 255, 8);
}

/* A stream is as it is written, but for its checksum. */
static void expect_taken(struct stream *stream, const char *what, bool taken)
{
	size_t size;

	/* once for its size: the checksum is wrong */
	put_checksum(stream, 0);
	zlib_takes(stream->data, stream->bits / 8, out, &size);
	stream->bits -= 32;
	put_checksum(stream, (uint32_t)adler32(1, out, (uInt)size));
	if (zlib_takes(stream->data, stream->bits / 8, out, &size) != taken)
		fail_msg("%s: zlib finds otherwise", what);
	if (is_taken(stream->data, stream->bits / 8, out, size) != taken)
		fail_msg("%s: is %staken", what, taken ? "not " : "");
}

static void begin_zlib(struct stream *stream)
{
	memset(stream, 0, sizeof *stream);
	put(stream, 0x9c78, 16);
}

static void what_zlib_takes_is_taken(void **state)
{
	static struct stream stream;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin_zlib(&stream);
		cases[i].write(&stream);
		expect_taken(&stream, cases[i].what, cases[i].taken);
	}
	for (size_t i = 0; i < sizeof fixed_distances / sizeof *fixed_distances; i++) {
		begin_zlib(&stream);
		put_fixed_distance(&stream, fixed_distances[i].distance, fixed_distances[i].bytes);
		expect_taken(&stream, fixed_distances[i].what, fixed_distances[i].taken);
	}
}

/* Whatever byte is changed, wherever it ends, whatever size is asked for. */
static void what_zlib_refuses_is_refused(void **state)
{
	uint8_t raw[700], packed[1000];
	uLongf size = sizeof packed;
	size_t out_size;

	(void)state;
	for (size_t i = 0; i < sizeof raw; i++)
		raw[i] = (uint8_t)(i % 300 < 100 ? i * i : i / 9);
	assert_int_equal(compress2(packed, &size, raw, sizeof raw, 9), Z_OK);
	assert_true(is_taken(packed, size, raw, sizeof raw));
	assert_false(is_taken(packed, size, NULL, sizeof raw - 1));
	assert_false(is_taken(packed, size, NULL, sizeof raw + 1));
	assert_false(is_taken(packed, size, NULL, 0));
	packed[size] = 0;
	assert_false(is_taken(packed, size + 1, NULL, sizeof raw));
	for (size_t i = 0; i < size; i++)
		assert_false(is_taken(packed, i, NULL, sizeof raw));
	for (size_t i = 0; i < 8 * size; i++) {
		bool taken;

		packed[i / 8] ^= (uint8_t)(1U << i % 8);
		taken = zlib_takes(packed, size, out, &out_size);
		assert_int_equal(is_taken(packed, size, out, out_size), taken);
		packed[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

static void headers_are_as_zlib_wants_them(void **state)
{
	uint8_t packed[64];
	uLongf size = sizeof packed;
	size_t out_size;

	(void)state;
	assert_int_equal(compress2(packed, &size, (const uint8_t *)"abcabcabcabc", 12, 9), Z_OK);
	for (unsigned header = 0; header < 0x10000; header++) {
		bool taken;

		packed[0] = (uint8_t)(header >> 8);
		packed[1] = (uint8_t)header;
		taken = zlib_takes(packed, size, out, &out_size);
		assert_int_equal(is_taken(packed, size, out, 12), taken);
	}
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Literals, and repetitions at every distance from 1 on, of every length. */
static void make_raw(uint8_t *raw, size_t size, unsigned kind)
{
	uint32_t random = kind + 1;

	for (size_t i = 0; i < size;) {
		size_t distance = 1 + next_random(&random) % (kind & 4 ? 40 : INFLATE_WINDOW);
		size_t length = 3 + next_random(&random) % 300;

		if (distance <= i && next_random(&random) % 8 < kind % 8)
			for (; length > 0 && i < size; length--, i++)
				raw[i] = raw[i - distance];
		else
			raw[i++] = (uint8_t)(next_random(&random) % (kind & 2 ? 256 : 20));
	}
}

static void everything_packed_comes_back(void **state)
{
	static uint8_t raw[ROOM], packed[2 * ROOM];
	static const int strategies[] = {
		Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};

	(void)state;
	for (unsigned i = 0; i < 8 * 5 * 4; i++) {
		size_t size = i % 3 ? ROOM - i : 200 + i;
		z_stream zip = {.next_in = raw,
			.avail_in = (uInt)size,
			.next_out = packed,
			.avail_out = sizeof packed};

		make_raw(raw, size, i % 8);
		assert_int_equal(deflateInit2(&zip, 3 * (int)(i / 40), Z_DEFLATED, 15, 9,
					 strategies[i / 8 % 5]),
			Z_OK);
		assert_int_equal(deflate(&zip, Z_FINISH), Z_STREAM_END);
		deflateEnd(&zip);
		assert_true(is_taken(packed, zip.total_out, raw, size));
	}
}

static int prepare(void **state)
{
	(void)state;
	return inflate_prepare(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_zlib_takes_is_taken),
		cmocka_unit_test(what_zlib_refuses_is_refused),
		cmocka_unit_test(headers_are_as_zlib_wants_them),
		cmocka_unit_test(everything_packed_comes_back),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
