/*
 * The Huffman codes of deflated data (RFC 1951, sections 3.2.2 to 3.2.7), as tables to look the next
 * bits up in.
 *
 * An entry:
 *
 *	bits 0-7	how many bits to drop
 *	bits 8-9	how many literals this is: 1 in bits 16-23, or 2, with the second in bits 24-31
 *
 * or, if it is none,
 *
 *	bits 10-13	how many of the bits are the code; the others are to be added to the base
 *	bit 14		no symbol, but a second table: it begins at the entry of the number in bits
 *			16-31, and takes as many bits as bits 10-13 say
 *	bit 15		no symbol, but the end of the block if bits 16-31 are 0, else no code at all
 *	bits 16-31	the base of a length or distance
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	INFLATE_LITLENS = 286, /* codes that a block may have */
	INFLATE_DISTANCES = 30,
	INFLATE_PRECODES = 19,
	INFLATE_PRECODE_BITS = 7,

	/* Bits that the tables are made for, and their size: a second table of 2^n entries has n + 1
	 * codes at least, the longest code has 15 bits, and the fixed codes are 288 and 32. */
	INFLATE_LITLEN_BITS = 11,
	INFLATE_LITLEN_SIZE = (1 << INFLATE_LITLEN_BITS) + 288 * 16 / 5,
	INFLATE_DISTANCE_BITS = 9,
	INFLATE_DISTANCE_SIZE = (1 << INFLATE_DISTANCE_BITS) + 32 * 64 / 7,
};

#define INFLATE_LITERALS   (3U << 8)
#define INFLATE_CODE_SHIFT 10
#define INFLATE_SECOND     (1U << 14)
#define INFLATE_STOP       (1U << 15)
#define INFLATE_BASE_SHIFT 16

/* Make a table of the lengths of `count` codes. False if zlib would not take them: if they are too
 * many or too few for their lengths, unless there is none, or only one, which has one bit. */
bool inflate_make_litlen(uint32_t *table, const uint8_t *lengths, unsigned count);
bool inflate_make_distance(uint32_t *table, const uint8_t *lengths, unsigned count);

/* The same for the codes of lengths, whose bases are these lengths. Too few are never right. */
bool inflate_make_precode(uint32_t *table, const uint8_t lengths[INFLATE_PRECODES]);

/* The codes that are known without being told. */
void inflate_make_fixed(uint32_t *litlen, uint32_t *distance);
