/*
 * The pixel data of a damaged PNG, as far as they can be had, in the form of an undamaged one.
 *
 * What the IDAT chunks hold is inflated whatever their checksums say, up to where it ends or is no
 * deflate stream. It is handed on as IDAT chunks of stored blocks, filled up with zeros to what the
 * image needs, so that libpng reads it and does with it what it does with any other.
 */
#pragma once

#include "base/error.h"
#include "dynload/libz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct png_salvage {
	z_stream zip;
	const uint8_t *file;
	size_t size;
	size_t start, next; /* the first IDAT; the chunk to be inflated after this one */
	uint64_t wanted;    /* bytes that the image needs */
	uint64_t available; /* of these, how many can be had */
	uint64_t handed_on; /* bytes, zeros included */
	uint32_t adler;     /* of these */
	bool begun;         /* a stream was made */
	bool ended;         /* nothing more comes of the file */
	bool finished;      /* nothing more is handed on */
	uint8_t *chunk;     /* the one that is handed on */
	size_t taken, filled;
};

/* Begins with the IDAT chunk at `start` and counts what is available. Fails only if memory is
 * short. Free it with png_salvage_end in either case. */
int png_salvage_begin(struct png_salvage *salvage, const uint8_t *file, size_t size, size_t start,
	uint64_t wanted, struct error *err);

/* The next bytes of the chunks. Behind the last one comes IEND, again and again. */
void png_salvage_read(struct png_salvage *salvage, uint8_t *target, size_t size);

/* Does nothing to what is zero. */
void png_salvage_end(struct png_salvage *salvage);
