/*
 * Weighted sums of lines of samples: the inner loops of resize.c, in the form that compilers make
 * vectors of.
 */
#pragma once

#include "image/resize_axis.h"

#include <stddef.h>
#include <stdint.h>

/* Lines are summed in steps of so many samples, and must have room for a multiple of it. */
#define LANES 64

/* Samples of one column in columns that lie side by side: one of each of so many rows. */
#define LANES_ROWS 16

/* Fixed point of the weights, by the bits of a sample. */
#define LANES_FRACTION(bits) ((bits) == 16 ? 30 : 22)

/* target[i] = sum of weights[k] x rows[k][i], rounded and clipped; `samples` of them. */
void lanes_sum_rows(void *target, const uint8_t *const *rows, const int32_t *weights,
	uint32_t count, size_t samples, unsigned bits);

struct lanes_columns {
	const uint8_t *columns; /* from axis->begin on, each LANES_ROWS x channels samples */
	uint8_t *target;        /* axis->to columns, likewise */
	const struct resize_axis *axis;
	unsigned channels, bits;
};

/* Each column of the target is the sum of those that the axis names, with its weights. */
void lanes_sum_columns(const struct lanes_columns *work);

/* LANES_ROWS rows of `size` bytes, one after the other, to columns: of each sample of a row, those
 * of all rows. And back, for `samples` samples of a row. */
void lanes_to_columns(uint8_t *columns, const uint8_t *rows, size_t size, unsigned bits);
void lanes_to_rows(
	uint8_t *const rows[LANES_ROWS], const uint8_t *columns, size_t samples, unsigned bits);
