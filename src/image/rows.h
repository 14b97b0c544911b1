/*
 * The way of a row from the codec to its place: filter, premultiplication, orientation.
 *
 * Where nothing is to be done, the codec writes straight into the caller's memory. Otherwise each
 * row is worked on while it is in the cache; only what turns by 90 degrees passes through a block
 * of rows, so that each write fills whole cache lines.
 *
 *	rows_begin(&rows, &plan, pixels, &err);
 *	while (rows.taken < plan.height) {
 *		count = rows_slots(&rows, slots, most);
 *		<the codec fills `count` slots or fewer>
 *		rows_take(&rows, count);
 *	}
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rows_filter {
	ROWS_PLAIN, /* rows come as they are delivered */
	ROWS_CMYK,  /* four bytes a pixel, 255 meaning no ink, become grey, RGB or RGBA */
	ROWS_BOX,   /* each square of scale x scale pixels becomes their mean */
};

struct rows_plan {
	uint32_t width, height; /* of what the codec hands in */
	uint8_t channels, bits; /* of what is delivered */
	uint8_t filter;         /* enum rows_filter */
	uint8_t scale;          /* of ROWS_BOX */
	uint8_t orientation;    /* to apply, EXIF 1 to 8 */
	bool bgr;               /* ROWS_CMYK puts blue first */
	bool premultiply;
	uint64_t memory; /* bytes of buffers allowed; 0 for no limit */
	/* Not NULL: gets each row, from the top, instead of the caller's memory. For orientations 1
	 * and 2 only, whose rows come in this order. */
	void (*take)(void *context, const uint8_t *row);
	void *context;
};

struct rows {
	struct rows_plan plan;
	uint32_t taken, done;   /* rows handed in; rows in their place (or in the block) */
	uint32_t width, height; /* after the filter, before the orientation */
	size_t pixel, stride;   /* bytes: of a pixel, of a row of `width` */
	uint8_t *pixels;        /* the caller's */
	uint8_t *scratch;       /* kept from image to image; holds the three below */
	size_t scratch_size;
	uint8_t *block; /* rows that wait to be turned */
	uint8_t *input; /* what the filter reads: a row, or those of a row of squares */
	uint8_t *line;  /* what `take` gets */
};

/* Starts an image. `rows` is zero at first; rows_release frees what it has gathered. */
int rows_begin(struct rows *rows, const struct rows_plan *plan, void *pixels, struct error *err);
void rows_release(struct rows *rows);

/* All rows are to be handed in again, from the first; not with `take`. */
void rows_begin_anew(struct rows *rows);

/* Whether rows_at works: any row has its place from the start. */
bool rows_in_place(const struct rows *rows);

/* Whether a row stays as it was written until the next one has been. */
bool rows_are_kept(const struct rows *rows);

/* Where row `y` is to be written, whatever the order. */
uint8_t *rows_at(const struct rows *rows, uint32_t y);

/* Where the next rows are to be written: fills in at least one slot, at most `most`. */
unsigned rows_slots(const struct rows *rows, uint8_t **slots, unsigned most);

/* Says that the next `count` rows have been written. */
void rows_take(struct rows *rows, uint32_t count);

/* Takes the next row of squares from rows where they are, without slots: for ROWS_BOX only. These are
 * plan.scale, or all that are left; their samples of 16 bits may have the other byte order. */
void rows_take_boxed(struct rows *rows, const uint8_t *const *input, unsigned count, bool swapped);

/* Makes all rows not yet taken black and transparent. */
void rows_blank(struct rows *rows);
