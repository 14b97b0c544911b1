/*
 * Whole squares, by vectors. Each function begins with the first square of a row and returns how many
 * it has done: all, or as many as fill its vectors. There are box->scale rows.
 */
#pragma once

#include "image/box.h"

/* Calls mean(box, rows, squares, means, scale) with the scale as a constant, for which the loops that
 * it is made of become code of their own. */
#define BOX_BY_SCALE(mean, box, rows, means)                                      \
	((box)->scale == 2          ? mean(box, rows, (box)->width / 2, means, 2) \
		: (box)->scale == 4 ? mean(box, rows, (box)->width / 4, means, 4) \
				    : mean(box, rows, (box)->width / 8, means, 8))

/* Without alpha. */
uint32_t box_plain(const struct box *box, const uint8_t *const *rows, uint8_t *means);

/* With alpha. */
uint32_t box_alpha(const struct box *box, const uint8_t *const *rows, uint8_t *means);

/* Whether such pixels gain by AVX2, and the processor has it. */
bool box_has_avx2(const struct box *box);

/* With it: 8 bits but RGBA, 8 bits of RGBA, */
uint32_t box_avx2(const struct box *box, const uint8_t *const *rows, uint8_t *means);
uint32_t box_avx2_rgba8(const struct box *box, const uint8_t *const *rows, uint8_t *means);
/* and 16 bits with alpha. */
uint32_t box_avx2_deep(const struct box *box, const uint8_t *const *rows, uint8_t *means);

/* The one of these for such pixels. */
static inline uint32_t box_avx2_any(
	const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	if (box->bits == 16)
		return box_avx2_deep(box, rows, means);
	return box->channels == 4 ? box_avx2_rgba8(box, rows, means) : box_avx2(box, rows, means);
}
