#include "image/resize_axis.h"

#include "dynload/libm.h"

#include <stdlib.h>

#define PI 3.14159265358979323846

static double box(double x)
{
	return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear(double x)
{
	x = fabs(x);
	return x < 1 ? 1 - x : 0;
}

/* Cubic convolution with a = -1/2. */
static double bicubic(double x)
{
	const double a = -0.5;

	x = fabs(x);
	if (x < 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
	x *= PI;
	return x == 0 ? 1 : sin(x) / x;
}

static double lanczos(double x)
{
	return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct filter {
	double support; /* how far it reaches on either side */
	double (*at)(double x);
} filters[] = {
	[RESIZE_BICUBIC] = {2, bicubic},
	[RESIZE_BOX] = {0.5, box},
	[RESIZE_BILINEAR] = {1, bilinear},
	[RESIZE_LANCZOS] = {3, lanczos},
};

/* Samples of the source for each of the result. */
static double step_of(const struct resize_span *span)
{
	return (span->end - span->from) / span->to;
}

/* By what the filter is stretched: to cover all of the source, but never narrower than it is. */
static double stretch_of(const struct resize_span *span)
{
	double step = step_of(span);

	return step < 1 ? 1 : step;
}

static double centre_of(const struct resize_span *span, uint32_t at)
{
	return span->from + (at + 0.5) * step_of(span);
}

/* The samples that the filter covers around one of the result. */
static void find_covered(const struct resize_span *span, struct resize_axis *axis, uint32_t at)
{
	double reach = filters[span->filter].support * stretch_of(span);
	double begin = centre_of(span, at) - reach + 0.5, end = centre_of(span, at) + reach + 0.5;
	uint32_t last = end > span->size ? span->size : (uint32_t)end;

	axis->first[at] = begin < 0 ? 0 : (uint32_t)begin;
	axis->count[at] = last - axis->first[at];
}

/* Their weights, whose sum is 1. The order of these operations decides on the last bit. */
static void find_weights(const struct resize_span *span, struct resize_axis *axis, uint32_t at,
	unsigned fraction, double *exact)
{
	int32_t *weights = axis->weights + (size_t)at * axis->taps;
	double centre = centre_of(span, at), narrowing = 1.0 / stretch_of(span), sum = 0;
	double one = (double)(INT64_C(1) << fraction);

	for (uint32_t i = 0; i < axis->count[at]; i++) {
		exact[i] = filters[span->filter].at(
			(i + axis->first[at] - centre + 0.5) * narrowing);
		sum += exact[i];
	}
	for (uint32_t i = 0; i < axis->count[at]; i++) {
		double weight = sum != 0 ? exact[i] / sum : exact[i];

		weights[i] = (int32_t)(weight < 0 ? -0.5 + weight * one : 0.5 + weight * one);
	}
}

uint32_t resize_axis_taps(const struct resize_span *span)
{
	double taps = ceil(filters[span->filter].support * stretch_of(span)) * 2 + 1;

	return taps > span->size ? span->size : (uint32_t)taps;
}

/* Sides and taps are below 2^32: this does not wrap. */
uint64_t resize_axis_memory(const struct resize_span *span)
{
	uint64_t taps = resize_axis_taps(span);

	return taps * sizeof(double) + span->to * (2 * sizeof(uint32_t) + taps * sizeof(int32_t));
}

int resize_axis_init(struct resize_axis *axis, const struct resize_span *span, unsigned fraction,
	struct error *err)
{
	uint32_t taps = resize_axis_taps(span);
	int status = libm_load(err);
	double *exact;

	if (status)
		return status;
	exact = malloc(resize_axis_memory(span));
	if (!exact)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	*axis = (struct resize_axis){.memory = exact, .taps = taps, .to = span->to};
	axis->first = (uint32_t *)(void *)(exact + taps);
	axis->count = axis->first + span->to;
	axis->weights = (int32_t *)(axis->count + span->to);
	for (uint32_t at = 0; at < span->to; at++) {
		find_covered(span, axis, at);
		find_weights(span, axis, at, fraction, exact);
	}
	axis->begin = axis->first[0];
	axis->end = axis->first[span->to - 1] + axis->count[span->to - 1];
	return STATUS_OK;
}

void resize_axis_release(struct resize_axis *axis)
{
	free(axis->memory);
	*axis = (struct resize_axis){0};
}
