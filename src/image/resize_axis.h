/*
 * Which samples of the source make a sample of the result, in one direction, and with what weights.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

enum resize_filter {
	RESIZE_BICUBIC,
	RESIZE_BOX,
	RESIZE_BILINEAR,
	RESIZE_LANCZOS,
};

/* Of `size` samples those between `from` and `end`, in whole or in part, become `to` samples. */
struct resize_span {
	double from, end;
	uint32_t size, to;
	uint8_t filter; /* enum resize_filter */
};

struct resize_axis {
	void *memory; /* holds the three below */
	uint32_t *first,
		*count;      /* for each sample of the result: the source's that it is made of */
	int32_t *weights;    /* `taps` for each; those beyond `count` are not used */
	uint32_t taps;       /* the most that a sample can be made of */
	uint32_t begin, end; /* samples of the source that are used at all */
	uint32_t to;         /* samples of the result */
};

/* The most samples that one can be made of. */
uint32_t resize_axis_taps(const struct resize_span *span);

/* Bytes that an axis takes. */
uint64_t resize_axis_memory(const struct resize_span *span);

/* Works the weights out, in fixed point of `fraction` bits. Free with resize_axis_release. */
int resize_axis_init(struct resize_axis *axis, const struct resize_span *span, unsigned fraction,
	struct error *err);
void resize_axis_release(struct resize_axis *axis);
