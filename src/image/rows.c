#include "image/rows.h"

#include "base/number.h"
#include "image/box.h"
#include "image/pixel.h"

#include <stdlib.h>
#include <string.h>

/* Rows turned at a time: each column of a block is written in one go, and lies in another page than
 * the next, so that more rows mean fewer TLB misses; still the block should stay in the cache. */
enum {
	BLOCK_ROWS = 64,
	SCALE_MAX = 8
};

static bool turned(const struct rows *rows)
{
	return rows->plan.orientation >= 5;
}

static bool mirrored(const struct rows *rows)
{
	return rows->plan.orientation == 2 || rows->plan.orientation == 3;
}

static bool upside_down(const struct rows *rows)
{
	return rows->plan.orientation == 3 || rows->plan.orientation == 4;
}

static size_t input_pixel(const struct rows *rows)
{
	return rows->plan.filter == ROWS_CMYK ? 4 : rows->pixel;
}

/* Rows that the filter reads at a time. */
static unsigned input_rows(const struct rows *rows)
{
	return rows->plan.filter == ROWS_BOX ? rows->plan.scale : 1;
}

/* Bytes from one of them to the next. */
static size_t input_stride(const struct rows *rows)
{
	return (rows->plan.width * input_pixel(rows) + 63) / 64 * 64;
}

/* Cannot wrap: widths are below 2^32, pixels at most 8 bytes. */
static int make_scratch(struct rows *rows, struct error *err)
{
	const struct rows_plan *plan = &rows->plan;
	uint64_t block = 0, input = 0, line = 0, all;
	char text[SIZE_TEXT_SIZE];

	if (turned(rows))
		block = (uint64_t)rows->stride *
			(rows->height < BLOCK_ROWS ? rows->height : BLOCK_ROWS);
	if (plan->filter != ROWS_PLAIN)
		input = (uint64_t)input_stride(rows) * input_rows(rows);
	size_align(block, 64, &block);
	if (plan->take)
		line = rows->stride;
	all = block + input + line;
	if (plan->memory && all > plan->memory)
		return error_set(err, STATUS_BAD_DATA,
			"decoding needs more than the memory limit of %s",
			format_size(plan->memory, text));
	if (all > rows->scratch_size) {
		free(rows->scratch);
		rows->scratch_size = 0;
		rows->scratch = malloc(all);
		if (!rows->scratch)
			return error_set(err, STATUS_TRY_AGAIN, "out of memory");
		rows->scratch_size = all;
	}
	if (all == 0)
		return STATUS_OK;
	rows->block = rows->scratch;
	rows->input = rows->block + block;
	rows->line = rows->input + input;
	return STATUS_OK;
}

int rows_begin(struct rows *rows, const struct rows_plan *plan, void *pixels, struct error *err)
{
	unsigned scale = plan->filter == ROWS_BOX ? plan->scale : 1;

	rows->plan = *plan;
	rows->taken = rows->done = 0;
	rows->width = (uint32_t)(((uint64_t)plan->width + scale - 1) / scale);
	rows->height = (uint32_t)(((uint64_t)plan->height + scale - 1) / scale);
	rows->pixel = plan->channels * (size_t)plan->bits / 8;
	rows->stride = rows->pixel * rows->width;
	rows->pixels = pixels;
	return make_scratch(rows, err);
}

void rows_begin_anew(struct rows *rows)
{
	rows->taken = rows->done = 0;
}

void rows_release(struct rows *rows)
{
	free(rows->scratch);
	*rows = (struct rows){0};
}

bool rows_in_place(const struct rows *rows)
{
	return rows->plan.filter == ROWS_PLAIN && !turned(rows) && !rows->plan.take;
}

bool rows_are_kept(const struct rows *rows)
{
	return rows->plan.filter == ROWS_PLAIN && !rows->plan.premultiply && !mirrored(rows) &&
	       !rows->plan.take;
}

/* Where a row is put after the filter. */
static uint8_t *place(const struct rows *rows, uint32_t y)
{
	if (rows->plan.take)
		return rows->line;
	if (turned(rows))
		return rows->block + y % BLOCK_ROWS * rows->stride;
	if (upside_down(rows))
		y = rows->height - 1 - y;
	return rows->pixels + y * rows->stride;
}

uint8_t *rows_at(const struct rows *rows, uint32_t y)
{
	return place(rows, y);
}

unsigned rows_slots(const struct rows *rows, uint8_t **slots, unsigned most)
{
	uint32_t left = rows->height - rows->done;
	unsigned count = 0;

	if (rows->plan.filter != ROWS_PLAIN) {
		slots[0] = rows->input + rows->taken % input_rows(rows) * input_stride(rows);
		return 1;
	}
	if (turned(rows) && left > BLOCK_ROWS - rows->done % BLOCK_ROWS)
		left = BLOCK_ROWS - rows->done % BLOCK_ROWS;
	if (rows->plan.take && left > 1)
		left = 1;
	for (; count < most && count < left; count++)
		slots[count] = place(rows, rows->done + count);
	return count;
}

/* The block's rows become columns: those of the last `count` rows done. */
static void turn_block(const struct rows *rows, uint32_t count)
{
	unsigned orientation = rows->plan.orientation;
	bool leftward = orientation == 6 || orientation == 7;
	bool upward = orientation == 7 || orientation == 8;
	size_t stride = rows->pixel * rows->height;
	uint32_t column = leftward ? rows->height - rows->done : rows->done - count;
	struct pixel_block block = {
		.source = rows->block,
		.source_stride = rows->stride,
		.target = rows->pixels + column * rows->pixel,
		.target_stride = (ptrdiff_t)stride,
		.width = rows->width,
		.rows = count,
		.backward = leftward,
	};

	if (upward) {
		block.target += (rows->width - 1) * stride;
		block.target_stride = -block.target_stride;
	}
	pixel_turn(&block, rows->pixel);
}

static void finish_row(struct rows *rows, uint8_t *row)
{
	const struct rows_plan *plan = &rows->plan;

	if (plan->premultiply)
		pixel_premultiply(row, rows->width, plan->channels, plan->bits);
	if (mirrored(rows))
		pixel_mirror(row, rows->width, rows->pixel);
	if (plan->take)
		plan->take(plan->context, row);
	rows->done++;
	if (turned(rows) && (rows->done % BLOCK_ROWS == 0 || rows->done == rows->height))
		turn_block(rows, (rows->done - 1) % BLOCK_ROWS + 1);
}

static void take_squares(
	struct rows *rows, const uint8_t *const *input, unsigned count, bool swapped)
{
	const struct rows_plan *plan = &rows->plan;
	const struct box box = {.width = plan->width,
		.scale = plan->scale,
		.channels = plan->channels,
		.bits = plan->bits,
		.swapped = swapped};
	uint8_t *row = place(rows, rows->done);

	box_mean(&box, input, count, row);
	finish_row(rows, row);
}

void rows_take_boxed(struct rows *rows, const uint8_t *const *input, unsigned count, bool swapped)
{
	rows->taken += count;
	take_squares(rows, input, count, swapped);
}

/* Of the rows in the input, the last is new. */
static void take_input(struct rows *rows)
{
	const struct rows_plan *plan = &rows->plan;
	const unsigned count = rows->taken++ % input_rows(rows) + 1;
	const uint8_t *input[SCALE_MAX];
	uint8_t *row;

	if (plan->filter == ROWS_BOX) {
		for (unsigned i = 0; i < count; i++)
			input[i] = rows->input + i * input_stride(rows);
		if (count == plan->scale || rows->taken == plan->height)
			take_squares(rows, input, count, false);
		return;
	}
	row = place(rows, rows->done);
	if (plan->filter == ROWS_CMYK)
		pixel_cmyk(rows->input, row, rows->width, plan->channels, plan->bgr);
	finish_row(rows, row);
}

void rows_take(struct rows *rows, uint32_t count)
{
	if (rows->plan.orientation <= 1 && !rows->plan.premultiply && rows_in_place(rows)) {
		rows->taken += count;
		rows->done += count;
		return;
	}
	while (count-- > 0)
		take_input(rows);
}

void rows_blank(struct rows *rows)
{
	size_t size = input_pixel(rows) * rows->plan.width;
	uint8_t *slot;

	while (rows->taken < rows->plan.height && rows_slots(rows, &slot, 1)) {
		memset(slot, 0, size);
		rows_take(rows, 1);
	}
}
