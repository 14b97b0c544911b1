#include "image/resize.h"

#include "base/number.h"
#include "image/lanes.h"
#include "image/pixel.h"

#include <stdlib.h>
#include <string.h>

static struct resize_span span_across(const struct resize_plan *plan)
{
	return (struct resize_span){.from = plan->left,
		.end = plan->right,
		.size = plan->width,
		.to = plan->to_width,
		.filter = plan->filter};
}

static struct resize_span span_down(const struct resize_plan *plan)
{
	return (struct resize_span){.from = plan->top,
		.end = plan->bottom,
		.size = plan->height,
		.to = plan->to_height,
		.filter = plan->filter};
}

/* Bytes of what resize->memory holds, each a multiple of 64. */
struct parts {
	uint64_t lines, batch, columns, made, ring, line, all;
};

/* Adds a part of count x size bytes; false if that does not fit 64 bits. */
static bool add_part(struct parts *parts, uint64_t count, uint64_t size, uint64_t *ret)
{
	return size_multiply(count, size, ret) && size_align(*ret, 64, ret) &&
	       size_add(parts->all, *ret, &parts->all);
}

static uint64_t row_samples(const struct resize_plan *plan)
{
	uint64_t samples = (uint64_t)plan->to_width * plan->channels;

	return (samples + LANES - 1) / LANES * LANES;
}

static uint32_t ring_rows(const struct resize_plan *plan)
{
	struct resize_span down = span_down(plan);

	return resize_axis_taps(&down) + LANES_ROWS;
}

static bool measure(const struct resize_plan *plan, struct parts *ret)
{
	uint64_t sample = plan->bits / 8, pixel = plan->channels * sample;
	uint64_t rows = ring_rows(plan), row = row_samples(plan) * sample;

	*ret = (struct parts){0};
	return add_part(ret, rows, sizeof(uint8_t *), &ret->lines) &&
	       add_part(ret, plan->width, LANES_ROWS * pixel, &ret->batch) &&
	       add_part(ret, plan->width, LANES_ROWS * pixel, &ret->columns) &&
	       add_part(ret, plan->to_width, LANES_ROWS * pixel, &ret->made) &&
	       add_part(ret, rows, row, &ret->ring) && add_part(ret, 1, row, &ret->line);
}

uint64_t resize_memory(const struct resize_plan *plan)
{
	struct resize_span across = span_across(plan), down = span_down(plan);
	struct parts parts;
	uint64_t all;

	if (!measure(plan, &parts) || !size_add(parts.all, resize_axis_memory(&across), &all) ||
		!size_add(all, resize_axis_memory(&down), &all))
		return UINT64_MAX;
	return all;
}

static int make_parts(struct resize *resize, struct error *err)
{
	struct parts parts;
	uint8_t *at;

	measure(&resize->plan, &parts);
	/* Zeroed, as what pads a row is summed, too. */
	resize->memory = at = calloc(1, parts.all);
	if (!at)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	resize->lines = (const uint8_t **)(void *)at;
	resize->batch = at += parts.lines;
	resize->columns = at += parts.batch;
	resize->made = at += parts.columns;
	resize->ring = at += parts.made;
	resize->line = at + parts.ring;
	return STATUS_OK;
}

static int begin(struct resize *resize, struct error *err)
{
	const struct resize_plan *plan = &resize->plan;
	struct resize_span across = span_across(plan), down = span_down(plan);
	unsigned fraction = LANES_FRACTION(plan->bits);
	int status = resize_axis_init(&resize->across, &across, fraction, err);

	if (status)
		return status;
	status = resize_axis_init(&resize->down, &down, fraction, err);
	return status ? status : make_parts(resize, err);
}

int resize_begin(
	struct resize *resize, const struct resize_plan *plan, void *pixels, struct error *err)
{
	int status;

	*resize = (struct resize){.plan = *plan, .pixels = pixels, .ring_rows = ring_rows(plan)};
	resize->row = row_samples(plan) * (plan->bits / 8);
	status = begin(resize, err);
	if (status) {
		resize_end(resize);
		return status;
	}
	resize->in_row = (size_t)(resize->across.end - resize->across.begin) * plan->channels *
			 (plan->bits / 8U);
	return STATUS_OK;
}

void resize_end(struct resize *resize)
{
	resize_axis_release(&resize->across);
	resize_axis_release(&resize->down);
	free(resize->memory);
	*resize = (struct resize){0};
}

static uint8_t *ring_at(const struct resize *resize, uint32_t row)
{
	return resize->ring + row % resize->ring_rows * resize->row;
}

/* Takes the rows of the batch through `across` into the ring. */
static void narrow_batch(struct resize *resize)
{
	const struct resize_plan *plan = &resize->plan;
	const struct lanes_columns work = {.columns = resize->columns,
		.target = resize->made,
		.axis = &resize->across,
		.channels = plan->channels,
		.bits = plan->bits};
	uint8_t *rows[LANES_ROWS];

	for (uint32_t i = 0; i < LANES_ROWS; i++)
		rows[i] = ring_at(resize, resize->narrowed + i);
	lanes_to_columns(resize->columns, resize->batch, resize->in_row, plan->bits);
	lanes_sum_columns(&work);
	lanes_to_rows(rows, resize->made, (size_t)plan->to_width * plan->channels, plan->bits);
	resize->narrowed += resize->gathered;
	resize->gathered = 0;
}

/* Makes a row of the result from those in the ring. */
static void finish_row(struct resize *resize)
{
	const struct resize_plan *plan = &resize->plan;
	const struct resize_axis *down = &resize->down;
	uint32_t first = down->first[resize->done] - down->begin, count = down->count[resize->done];
	const int32_t *weights = down->weights + (size_t)resize->done * down->taps;
	size_t samples = (size_t)plan->to_width * plan->channels, size = samples * plan->bits / 8;

	for (uint32_t i = 0; i < count; i++)
		resize->lines[i] = ring_at(resize, first + i);
	lanes_sum_rows(resize->line, resize->lines, weights, count, samples, plan->bits);
	if (plan->alpha && !plan->premultiply)
		pixel_unpremultiply(resize->line, plan->to_width, plan->channels, plan->bits);
	memcpy(resize->pixels + resize->done++ * size, resize->line, size);
}

void resize_push(struct resize *resize, const void *row)
{
	const struct resize_plan *plan = &resize->plan;
	const struct resize_axis *across = &resize->across, *down = &resize->down;
	uint32_t y = resize->pushed++;
	size_t skip = (size_t)across->begin * plan->channels * (plan->bits / 8U);
	uint8_t *copy = resize->batch + resize->gathered * resize->in_row;

	if (y < down->begin || y >= down->end)
		return;
	memcpy(copy, (const uint8_t *)row + skip, resize->in_row);
	if (plan->alpha)
		pixel_premultiply(copy, across->end - across->begin, plan->channels, plan->bits);
	if (++resize->gathered < LANES_ROWS && y + 1 < down->end)
		return;
	narrow_batch(resize);
	while (resize->done < plan->to_height &&
		down->first[resize->done] + down->count[resize->done] - down->begin <=
			resize->narrowed)
		finish_row(resize);
}
