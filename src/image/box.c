#include "image/box.h"

#include "image/box_whole.h"

#include <stddef.h>

enum {
	END = 16, /* squares, which fill any vectors */
};

static bool has_alpha(const struct box *box)
{
	return box->channels % 2 == 0;
}

static uint32_t sample(const struct box *box, const uint8_t *row, size_t at)
{
	uint16_t sample16;

	if (box->bits == 8)
		return row[at];
	sample16 = ((const uint16_t *)(const void *)row)[at];
	return box->swapped ? (uint16_t)(sample16 << 8 | sample16 >> 8) : sample16;
}

/* Of one channel; `x` and `across` are pixels. */
static uint64_t mean_channel(const struct box *box, const uint8_t *const *rows, unsigned height,
	uint32_t x, unsigned across, unsigned channel)
{
	const bool weighed = has_alpha(box) && channel + 1U < box->channels;
	uint64_t sum = 0, weight = 0;

	for (unsigned y = 0; y < height; y++) {
		for (size_t i = x; i < x + across; i++) {
			const size_t at = i * box->channels;
			const uint64_t one = weighed ? sample(box, rows[y], at + box->channels - 1U)
						     : 1;

			sum += one * sample(box, rows[y], at + channel);
			weight += one;
		}
	}
	return weight ? (sum + weight / 2) / weight : 0;
}

/* Squares from `first` on, one by one. */
static void mean_rest(const struct box *box, const uint8_t *const *rows, unsigned height,
	uint32_t first, uint8_t *means)
{
	uint16_t *means16 = (uint16_t *)(void *)means;
	size_t at = (size_t)first * box->channels;

	for (uint32_t x = first * box->scale; x < box->width; x += box->scale) {
		uint32_t left = box->width - x;
		unsigned across = left < box->scale ? left : box->scale;

		for (unsigned i = 0; i < box->channels; i++, at++) {
			uint64_t mean = mean_channel(box, rows, height, x, across, i);

			if (box->bits == 8)
				means[at] = (uint8_t)mean;
			else
				means16[at] = (uint16_t)mean;
		}
	}
}

static uint32_t mean_whole(const struct box *box, const uint8_t *const *rows, uint8_t *means)
{
	if (box_has_avx2(box))
		return box_avx2_any(box, rows, means);
	return has_alpha(box) ? box_alpha(box, rows, means) : box_plain(box, rows, means);
}

/* The last squares, where they do not fill the vectors: together with some that were done. Returns how
 * many squares are done then. */
static uint32_t mean_end(
	const struct box *box, const uint8_t *const *rows, uint32_t done, uint8_t *means)
{
	const uint32_t squares = box->width / box->scale, first = squares - END;
	const size_t pixel = box->channels * (box->bits / 8U);
	const uint8_t *ends[8];
	struct box end = *box;

	if (done == squares || squares < END)
		return done;
	for (unsigned y = 0; y < box->scale; y++)
		ends[y] = rows[y] + first * box->scale * pixel;
	end.width = END * box->scale;
	return first + mean_whole(&end, ends, means + first * pixel);
}

void box_mean(const struct box *box, const uint8_t *const *rows, unsigned height, uint8_t *means)
{
	uint32_t done = 0;

	if (height == box->scale)
		done = mean_end(box, rows, mean_whole(box, rows, means), means);
	mean_rest(box, rows, height, done, means);
}
