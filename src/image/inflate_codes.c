#include "image/inflate_codes.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
	LENGTH_MAX = 15, /* bits of a code */
	LITERALS = 256,  /* symbols, which come first */
	SYMBOLS_MAX = 288,
};

/* Codes by their length, then by their symbol. */
struct codes {
	uint16_t count[LENGTH_MAX + 1];    /* of each length */
	uint16_t first[LENGTH_MAX + 2];    /* where those of each length begin */
	uint16_t literals[LENGTH_MAX + 1]; /* how many of those, from the first on */
	uint16_t symbols[SYMBOLS_MAX];
	uint16_t bits[SYMBOLS_MAX]; /* the first is the lowest */
};

#define BASE(base, extra) ((uint32_t)(base) << INFLATE_BASE_SHIFT | (extra))
#define END_OF_BLOCK      INFLATE_STOP
#define NO_CODE           BASE(1, INFLATE_STOP)

/* Section 3.2.5: each but for its code's bits. */
static const uint32_t length_entries[SYMBOLS_MAX - LITERALS] = {END_OF_BLOCK, BASE(3, 0),
	BASE(4, 0), BASE(5, 0), BASE(6, 0), BASE(7, 0), BASE(8, 0), BASE(9, 0), BASE(10, 0),
	BASE(11, 1), BASE(13, 1), BASE(15, 1), BASE(17, 1), BASE(19, 2), BASE(23, 2), BASE(27, 2),
	BASE(31, 2), BASE(35, 3), BASE(43, 3), BASE(51, 3), BASE(59, 3), BASE(67, 4), BASE(83, 4),
	BASE(99, 4), BASE(115, 4), BASE(131, 5), BASE(163, 5), BASE(195, 5), BASE(227, 5),
	BASE(258, 0), NO_CODE, NO_CODE};

static const uint32_t distance_entries[32] = {BASE(1, 0), BASE(2, 0), BASE(3, 0), BASE(4, 0),
	BASE(5, 1), BASE(7, 1), BASE(9, 2), BASE(13, 2), BASE(17, 3), BASE(25, 3), BASE(33, 4),
	BASE(49, 4), BASE(65, 5), BASE(97, 5), BASE(129, 6), BASE(193, 6), BASE(257, 7),
	BASE(385, 7), BASE(513, 8), BASE(769, 8), BASE(1025, 9), BASE(1537, 9), BASE(2049, 10),
	BASE(3073, 10), BASE(4097, 11), BASE(6145, 11), BASE(8193, 12), BASE(12289, 12),
	BASE(16385, 13), BASE(24577, 13), NO_CODE, NO_CODE};

static void sort_codes(struct codes *codes, const uint8_t *lengths, unsigned count)
{
	uint16_t next[LENGTH_MAX + 1];

	memset(codes->count, 0, sizeof codes->count);
	for (unsigned i = 0; i < count; i++)
		codes->count[lengths[i]]++;
	codes->first[1] = 0;
	for (unsigned length = 1; length <= LENGTH_MAX; length++)
		codes->first[length + 1] = (uint16_t)(codes->first[length] + codes->count[length]);
	memcpy(next, codes->first, sizeof next);
	for (unsigned i = 0; i < count; i++)
		if (lengths[i])
			codes->symbols[next[lengths[i]]++] = (uint16_t)i;
}

static bool are_valid(const struct codes *codes)
{
	unsigned count = codes->first[LENGTH_MAX + 1];
	int unused = 1; /* codes of the length that could be added */

	for (unsigned length = 1; length <= LENGTH_MAX; length++) {
		unused = 2 * unused - codes->count[length];
		if (unused < 0)
			return false;
	}
	return unused == 0 || count == 0 || (count == 1 && codes->count[1] == 1);
}

/* Section 3.2.2, with the bits the other way round, as they come. */
static void assign_bits(struct codes *codes)
{
	unsigned bits = 0;

	for (unsigned length = 1; length <= LENGTH_MAX; length++)
		for (unsigned i = codes->first[length]; i < codes->first[length + 1]; i++) {
			unsigned carry = 1U << (length - 1);

			codes->bits[i] = (uint16_t)bits;
			for (; bits & carry; carry >>= 1)
				bits ^= carry;
			bits |= carry;
		}
}

/* Adds to an entry what it has for a code of so many bits. */
static uint32_t with_code(uint32_t entry, unsigned length)
{
	return entry + (length | length << INFLATE_CODE_SHIFT);
}

/* Two literals whose codes have `length` bits together. */
static void enter_pairs(uint32_t *table, const struct codes *codes, unsigned length)
{
	for (unsigned i = 1; i < length; i++) {
		const unsigned k = length - i;
		const unsigned first = codes->first[i], first_end = first + codes->literals[i];
		const unsigned second = codes->first[k], second_end = second + codes->literals[k];

		for (unsigned a = first; a < first_end; a++) {
			const uint32_t entry = 2U << 8 | length | (uint32_t)codes->symbols[a] << 16;

			for (unsigned b = second; b < second_end; b++)
				table[codes->bits[a] | (unsigned)codes->bits[b] << i] =
					entry | (uint32_t)codes->symbols[b] << 24;
		}
	}
}

/* How many bits a second table takes that begins with code `i`, of `length` bits. */
static unsigned second_bits(const struct codes *codes, unsigned root, unsigned i, unsigned length)
{
	unsigned bits = length - root;
	int unused = (1 << bits) - (codes->first[length + 1] - (int)i);

	while (unused > 0) {
		bits++;
		unused = 2 * unused - codes->count[root + bits];
	}
	return bits;
}

/* Codes of more than `root` bits: the rest of theirs in second tables. */
static void enter_long_codes(
	uint32_t *table, unsigned root, const struct codes *codes, const uint32_t *entries)
{
	const unsigned mask = (1U << root) - 1;
	unsigned prefix = UINT32_MAX, begin = 0, end = 1U << root, length = root + 1;

	for (unsigned i = codes->first[length]; i < codes->first[LENGTH_MAX + 1]; i++) {
		while (i >= codes->first[length + 1])
			length++;
		if ((codes->bits[i] & mask) != prefix) {
			const unsigned bits = second_bits(codes, root, i, length);

			prefix = codes->bits[i] & mask;
			begin = end;
			end += 1U << bits;
			table[prefix] = INFLATE_SECOND | begin << INFLATE_BASE_SHIFT |
					bits << INFLATE_CODE_SHIFT | root;
		}
		for (unsigned at = begin + (codes->bits[i] >> root); at < end;
			at += 1U << (length - root))
			table[at] = with_code(entries[codes->symbols[i]], length - root);
	}
}

/* The table grows with the codes' length: an entry for some bits is one for these and any that
 * follow, unless there is a better one. */
INLINE void fill(uint32_t *table, unsigned root, struct codes *codes, const uint32_t *entries,
	bool have_literals)
{
	assign_bits(codes);
	table[0] = with_code(NO_CODE, 1);
	for (unsigned length = 1; length <= root; length++) {
		memcpy(table + (1U << (length - 1)), table, sizeof *table << (length - 1));
		for (unsigned i = codes->first[length]; i < codes->first[length + 1]; i++)
			table[codes->bits[i]] = with_code(entries[codes->symbols[i]], length);
		if (have_literals)
			enter_pairs(table, codes, length);
	}
	enter_long_codes(table, root, codes, entries);
}

bool inflate_make_litlen(uint32_t *table, const uint8_t *lengths, unsigned count)
{
	uint32_t entries[SYMBOLS_MAX];
	struct codes codes;

	sort_codes(&codes, lengths, count);
	if (!are_valid(&codes))
		return false;
	memset(codes.literals, 0, sizeof codes.literals);
	for (unsigned i = 0; i < LITERALS; i++) {
		entries[i] = 1U << 8 | i << 16;
		codes.literals[lengths[i]]++;
	}
	memcpy(entries + LITERALS, length_entries, sizeof length_entries);
	fill(table, INFLATE_LITLEN_BITS, &codes, entries, true);
	return true;
}

bool inflate_make_distance(uint32_t *table, const uint8_t *lengths, unsigned count)
{
	struct codes codes;

	sort_codes(&codes, lengths, count);
	if (!are_valid(&codes))
		return false;
	fill(table, INFLATE_DISTANCE_BITS, &codes, distance_entries, false);
	return true;
}

bool inflate_make_precode(uint32_t *table, const uint8_t lengths[INFLATE_PRECODES])
{
	uint32_t entries[INFLATE_PRECODES];
	struct codes codes;

	sort_codes(&codes, lengths, INFLATE_PRECODES);
	if (!are_valid(&codes) || codes.first[LENGTH_MAX + 1] < 2)
		return false;
	for (unsigned i = 0; i < INFLATE_PRECODES; i++)
		entries[i] = BASE(i, 0);
	fill(table, INFLATE_PRECODE_BITS, &codes, entries, false);
	return true;
}

/* Section 3.2.6. */
void inflate_make_fixed(uint32_t *litlen, uint32_t *distance)
{
	uint8_t lengths[SYMBOLS_MAX];

	memset(lengths, 8, 144);
	memset(lengths + 144, 9, 112);
	memset(lengths + 256, 7, 24);
	memset(lengths + 280, 8, 8);
	inflate_make_litlen(litlen, lengths, SYMBOLS_MAX);
	memset(lengths, 5, 32);
	inflate_make_distance(distance, lengths, 32);
}
