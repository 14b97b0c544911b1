/*
 * Resizes an image by Pillow's method, so that 8-bit pixels are those of its Image.resize(): a
 * filter as wide as the pixels of the result, first along the rows, then along the columns, with
 * weights in fixed point. 16-bit samples are treated likewise, with finer weights.
 *
 * Rows go in from the top, one by one, and the result is written as soon as what it depends on is
 * there; only the rows that a row of the result needs are kept.
 *
 *	resize_begin(&resize, &plan, pixels, &err);
 *	for (y = 0; y < plan.height; y++)
 *		resize_push(&resize, <row y of the source>);
 *	resize_end(&resize);
 */
#pragma once

#include "image/resize_axis.h"

#include <stdbool.h>
#include <stddef.h>

struct resize_plan {
	uint32_t width, height; /* of the source */
	/* The part of it that is wanted, in its pixels. Filters see what lies beside it, too. */
	double left, top, right, bottom;
	uint32_t to_width, to_height;
	uint8_t channels, bits; /* a sample: 8 or 16 */
	uint8_t filter;         /* enum resize_filter */
	/* The last channel is alpha, and colours are resized multiplied by it. If they are to be
	 * premultiplied they stay so; otherwise they are divided by it again. */
	bool alpha, premultiply;
};

struct resize {
	struct resize_plan plan;
	struct resize_axis across, down;
	uint32_t pushed;         /* rows of the source */
	uint32_t gathered;       /* of them in `batch` */
	uint32_t narrowed;       /* that went through `across`, from down.begin on */
	uint32_t done;           /* rows of the result */
	uint32_t ring_rows;      /* that `ring` has room for */
	size_t in_row, row;      /* bytes: a row in `batch`; a row in `ring`, and `line` */
	uint8_t *pixels;         /* the caller's */
	void *memory;            /* holds the six below */
	const uint8_t **lines;   /* the rows of the ring that are summed */
	uint8_t *batch;          /* rows of the source */
	uint8_t *columns, *made; /* the same column by column; what `across` makes of it */
	uint8_t *ring;           /* rows that went through `across` */
	uint8_t *line;           /* a row of the result */
};

/* Bytes that resizing takes beside source and result; UINT64_MAX if they do not fit 64 bits. */
uint64_t resize_memory(const struct resize_plan *plan);

/* Starts an image, to be written to `pixels`. On success, finish with resize_end(). */
int resize_begin(
	struct resize *resize, const struct resize_plan *plan, void *pixels, struct error *err);

/* The next row of the source, aligned for its samples. */
void resize_push(struct resize *resize, const void *row);

/* Frees what resize_begin() made; does nothing to a zeroed `resize`. */
void resize_end(struct resize *resize);
