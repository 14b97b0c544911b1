/*
 * The chunks of a PNG in memory. Nothing is believed of a file but what is inside it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PNG_SIGNATURE_SIZE = 8,
	PNG_CHUNK_HEADER = 8,    /* length and type */
	PNG_CHUNK_OVERHEAD = 12, /* the header, and the CRC behind the data */
};

struct png_chunk {
	const uint8_t *type; /* four bytes */
	const uint8_t *data;
	uint32_t length;    /* as its header says */
	uint32_t available; /* bytes of data that are in the file */
	size_t next;        /* where the next chunk begins; the end of the file if truncated */
	bool complete;      /* with its CRC */
};

static inline uint32_t read_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

/* The chunk at `at`; false if the file ends within its header. */
bool png_chunk_read(const uint8_t *file, size_t size, size_t at, struct png_chunk *ret);

static inline bool png_chunk_is_ancillary(const struct png_chunk *chunk)
{
	return chunk->type[0] & 0x20;
}

bool png_chunk_is(const struct png_chunk *chunk, const char *type);

/* Ancillary, and longer than the limit (0: none): such a chunk is passed over. */
static inline bool png_chunk_is_oversized(const struct png_chunk *chunk, uint64_t limit)
{
	return limit && chunk->length > limit && png_chunk_is_ancillary(chunk);
}

/* Whether it belongs to the frames of an animation, which are never read. */
bool png_chunk_is_frame(const struct png_chunk *chunk);

/* Of type and data; the chunk must be complete. */
bool png_chunk_crc_is_right(const struct png_chunk *chunk);
