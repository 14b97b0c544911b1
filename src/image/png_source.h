/*
 * What libpng is given to read: the file, without the ancillary chunks that are over the limit,
 * which it would take for errors.
 */
#pragma once

#include "image/png_salvage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct png_source {
	const uint8_t *file;
	size_t size;
	size_t position;
	size_t boundary;      /* where the next chunk begins */
	uint64_t chunk_limit; /* bytes of an ancillary chunk; 0: none */
	/* Not NULL: what comes in place of everything from the first IDAT chunk on. */
	struct png_salvage *salvage;
	bool in_pixels; /* it has come to that */
};

void png_source_init(
	struct png_source *source, const uint8_t *file, size_t size, uint64_t chunk_limit);

/* The next `size` bytes; false if there are fewer. */
bool png_source_read(struct png_source *source, uint8_t *target, size_t size);
