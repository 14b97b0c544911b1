/*
 * Deflated data in the form of zlib (RFC 1950 and 1951), decoded from memory to memory: in one go, or
 * in pieces, for which much less memory is enough, which stays in the cache.
 *
 * Exactly what zlib takes is taken. The size of the window in the header is not heeded.
 */
#pragma once

#include "base/error.h"
#include "image/inflate_codes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	INFLATE_WINDOW = 1 << 15, /* bytes that what follows may repeat */
	INFLATE_LEFT_MAX = 512,   /* of the room, which inflate_next may not fill */
	INFLATE_HUNGRY = 1024,    /* bytes of the source that are not enough for it to go on */
	INFLATE_BEHIND = 8,       /* bytes before those, to which it may return */
};

struct inflate_stream {
	uint64_t bits;    /* the next is the lowest; above `count`, zeros or those that follow */
	uint32_t count;   /* in its lowest 8 bits */
	uint32_t missing; /* bytes of zeros in `bits`, from behind the end */
	const uint8_t *in, *in_end;
	uint8_t *out, *out_begin, *out_end;
};

enum inflate_block {
	INFLATE_BETWEEN, /* blocks */
	INFLATE_STORED,
	INFLATE_CODED,
	INFLATE_WHOLE, /* behind the last, and nothing was wrong */
};

/* Data that are being inflated; or room to work in, in which nothing needs to be. */
struct inflater {
	uint32_t litlen[INFLATE_LITLEN_SIZE];
	uint32_t distance[INFLATE_DISTANCE_SIZE];
	struct inflate_stream stream; /* its `out` is where the next byte goes */
	size_t beyond;                /* bytes of the data for which there is no room yet */
	size_t stored;                /* those left of a block */
	bool more;                    /* of the source than there is */
	uint8_t *unsummed;            /* the first byte that is not in `sum` */
	uint32_t sum;
	uint8_t block; /* enum inflate_block */
	bool last;
};

/* Loads what the checksum takes. Before the first use, and before system calls are forbidden. */
int inflate_prepare(struct error *err);

/* target[0..target_size) from source[0..size). False if the data are damaged, if they do not end
 * with the source, or if they are not just so many bytes; then the target may hold anything. */
bool inflate_zlib(struct inflater *work, const uint8_t *restrict source, size_t size,
	uint8_t *restrict target, size_t target_size);

/* The same in pieces. Of the source, `size` bytes are there, at least 2, and perhaps there are more;
 * target[0..room) is filled first. */
bool inflate_begin(struct inflater *work, const uint8_t *source, size_t size, bool more,
	uint8_t *target, size_t room, size_t target_size);

/* Goes on until all data are there, and `block` is INFLATE_WHOLE; or until less than INFLATE_LEFT_MAX bytes of
 * the room or INFLATE_HUNGRY of the source are left, with more to come. False as above. */
bool inflate_next(struct inflater *work);

/* Makes room: what is needed no more of the data before `from` is written over. Returns where `from`
 * is then. */
uint8_t *inflate_make_way(struct inflater *work, uint8_t *from);

/* Whether it wants more of the source. */
bool inflate_is_hungry(const struct inflater *work);

/* What is left of the source is at `source` now, with what follows it, `size` bytes together; the last
 * INFLATE_BEHIND bytes before it, too, if there were so many. */
void inflate_feed(struct inflater *work, const uint8_t *source, size_t size, bool more);
