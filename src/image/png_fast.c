#include "image/png_fast.h"

#include "base/number.h"
#include "image/checksum.h"
#include "image/inflate.h"
#include "image/pixel.h"
#include "image/png_convert.h"
#include "image/png_data.h"
#include "image/png_unfilter.h"

#include <stdlib.h>
#include <string.h>

enum {
	ALIGNMENT = 64,
	LIBPNG_MEMORY = 1 << 16,  /* what libpng would allocate for the rows, rounded up */
	KEPT_MAX = 64 << 20,      /* bytes kept from one image to the next */
	RING = PNG_ROWS_BEST + 1, /* unfiltered rows, and the one above them */
};

struct png_fast {
	struct inflater inflater;
	uint8_t *memory;
	size_t size;
};

/* One image. */
struct plain {
	struct png_codec *codec;
	struct png_fast *fast;
	struct png_convert convert;
	uint8_t palette[256][4];
	unsigned pixel; /* bytes in the file */
	size_t row;     /* bytes of one in the file, without its filter */
	struct png_data data;
	uint8_t *packed, *inflated; /* its memory */
	uint8_t *rows;              /* unfiltered ones, RING of them; the last is zero at first */
	size_t step;                /* from one of them to the next */
	uint8_t *work;              /* what png_convert_row wants */
};

int png_fast_prepare(struct error *err)
{
	return checksum_prepare(err);
}

void png_fast_free(struct png_fast *fast)
{
	if (!fast)
		return;
	free(fast->memory);
	free(fast);
}

static bool is_plain(const struct png_codec *codec)
{
	const struct image_info *info = &codec->reader->info;

	return !codec->reader->by_libpng && !info->progressive && info->file_bits >= 8 &&
	       !codec->transparent_colour;
}

static uint8_t *take(uint8_t **at, uint64_t size)
{
	uint8_t *taken = *at;

	*at += size;
	return taken;
}

/* Whether rows are delivered before all data have been seen to be whole; libpng begins anew then. */
static bool is_in_pieces(const struct plain *plain)
{
	const struct rows_plan *plan = &plain->codec->reader->rows.plan;

	return plan->filter == ROWS_BOX && !plan->take;
}

/* Room for everything; false if there is none. */
static bool make_room(struct plain *plain)
{
	struct png_fast *fast = plain->fast;
	const struct png_codec *codec = plain->codec;
	uint64_t packed = plain->data.packed_room, data = plain->data.room;
	uint64_t row = plain->row, work = (uint64_t)codec->reader->info.file_width * 16, all;
	uint64_t limit = codec->reader->limits.memory;
	uint8_t *at;

	size_align(row, ALIGNMENT, &row);
	if (!size_align(packed, ALIGNMENT, &packed) || !size_align(data, ALIGNMENT, &data) ||
		!size_add(packed, data, &all) || !size_add(all, RING * row + work, &all) ||
		all > SIZE_MAX / 2 || (limit && all + LIBPNG_MEMORY > limit - codec->allocated))
		return false;
	if (all > fast->size) {
		free(fast->memory);
		fast->memory = aligned_alloc(
			ALIGNMENT, (all + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
		fast->size = fast->memory ? all : 0;
	}
	if (!fast->memory)
		return false;
	at = fast->memory;
	plain->packed = take(&at, packed);
	plain->inflated = take(&at, data);
	plain->rows = take(&at, RING * row);
	plain->step = row;
	plain->work = at;
	return true;
}

/* As it is delivered, in its first bytes. */
static void make_palette(struct plain *plain)
{
	const struct png_convert *convert = &plain->convert;

	memcpy(plain->palette, plain->codec->palette, sizeof plain->palette);
	for (size_t i = 0; i < 256; i++) {
		uint8_t *colour = plain->palette[i], red = colour[0];

		if (convert->channels < 3) {
			pixel_luma(colour, 1, 8);
		} else if (convert->bgr) {
			colour[0] = colour[2];
			colour[2] = red;
		}
	}
}

static void describe(struct plain *plain)
{
	const struct image_reader *reader = plain->codec->reader;
	const struct image_info *info = &reader->info;

	plain->pixel = plain->codec->pixel_bits / 8;
	plain->row = (size_t)info->file_width * plain->pixel;
	plain->convert = (struct png_convert){
		.from_channels = (uint8_t)(plain->codec->pixel_bits / info->file_bits),
		.from_bits = info->file_bits,
		.channels = info->channels,
		.bits = info->bits,
		.bgr = reader->options.layout == IMAGE_LAYOUT_BGR};
	if (!plain->codec->has_palette)
		return;
	make_palette(plain);
	plain->convert.palette = (const uint8_t(*)[4])plain->palette;
}

/* Where the next rows are unfiltered to, up to PNG_ROWS_BEST of them. */
static unsigned next_rows(const struct plain *plain, bool direct, uint8_t **ret_rows)
{
	const struct rows *rows = &plain->codec->reader->rows;
	uint32_t left = rows->plan.height - rows->taken;
	unsigned count = left < PNG_ROWS_BEST ? left : PNG_ROWS_BEST;

	if (direct)
		return rows_slots(rows, ret_rows, count);
	for (unsigned i = 0; i < count; i++)
		ret_rows[i] = plain->rows + (rows->taken + i) % RING * plain->step;
	return count;
}

static void convert_rows(const struct plain *plain, uint8_t *const *unfiltered, unsigned count)
{
	struct rows *rows = &plain->codec->reader->rows;
	uint8_t *slot;

	for (unsigned i = 0; i < count; i++) {
		rows_slots(rows, &slot, 1);
		png_convert_row(
			&plain->convert, unfiltered[i], plain->work, slot, rows->plan.width);
		rows_take(rows, 1);
	}
}

/* Squares end where the unfiltered rows do. */
static void reduce_rows(const struct plain *plain, uint8_t *const *unfiltered, unsigned count)
{
	struct rows *rows = &plain->codec->reader->rows;
	const unsigned scale = rows->plan.scale;
	const bool swapped = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

	for (unsigned i = 0; i < count; i += scale)
		rows_take_boxed(rows, (const uint8_t *const *)unfiltered + i,
			count - i < scale ? count - i : scale, swapped);
}

static bool deliver_rows(struct plain *plain)
{
	struct rows *rows = &plain->codec->reader->rows;
	const bool same = png_convert_is_nothing(&plain->convert);
	const bool direct = same && rows_are_kept(rows);
	const bool reduced = rows->plan.filter == ROWS_BOX &&
			     (same || png_convert_is_order(&plain->convert));
	const uint8_t *above = plain->rows + (RING - 1) * plain->step;

	memset(plain->rows + (RING - 1) * plain->step, 0, plain->row);
	while (rows->taken < rows->plan.height) {
		uint8_t *unfiltered[PNG_ROWS_BEST];
		unsigned count = next_rows(plain, direct, unfiltered);
		const uint8_t *source = png_data_rows(&plain->data, count);

		if (!source)
			return false;
		png_unfilter_rows(plain->pixel, unfiltered, count, source, above, plain->row);
		above = unfiltered[count - 1];
		if (direct)
			rows_take(rows, count);
		else if (reduced)
			reduce_rows(plain, unfiltered, count);
		else
			convert_rows(plain, unfiltered, count);
	}
	return png_data_is_whole(&plain->data);
}

bool png_fast_read(struct png_codec *codec)
{
	struct plain plain = {.codec = codec};
	bool done;

	if (!is_plain(codec))
		return false;
	if (!codec->fast)
		codec->fast = calloc(1, sizeof *codec->fast);
	if (!codec->fast)
		return false;
	plain.fast = codec->fast;
	describe(&plain);
	done = png_data_survey(&plain.data, codec, plain.row, is_in_pieces(&plain)) &&
	       make_room(&plain) &&
	       png_data_begin(&plain.data, &codec->fast->inflater, plain.packed, plain.inflated) &&
	       deliver_rows(&plain);
	if (!done)
		rows_begin_anew(&codec->reader->rows);
	if (plain.fast->size > KEPT_MAX) {
		free(plain.fast->memory);
		plain.fast->memory = NULL;
		plain.fast->size = 0;
	}
	return done;
}
