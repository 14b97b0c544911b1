/*
 * Deflated data in the form of zlib (RFC 1950 and 1951), decoded in one go from memory to memory.
 *
 * Exactly what zlib takes is taken. The size of the window in the header is not heeded.
 */
#pragma once

#include "base/error.h"
#include "image/inflate_codes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room to work in. Nothing needs to be in it. */
struct inflater {
	uint32_t litlen[INFLATE_LITLEN_SIZE];
	uint32_t distance[INFLATE_DISTANCE_SIZE];
};

/* Loads what the checksum takes. Before the first use, and before system calls are forbidden. */
int inflate_prepare(struct error *err);

/* target[0..target_size) from source[0..size). False if the data are damaged, if they do not end
 * with the source, or if they are not just so many bytes; then the target may hold anything. */
bool inflate_zlib(struct inflater *work, const uint8_t *restrict source, size_t size,
	uint8_t *restrict target, size_t target_size);
