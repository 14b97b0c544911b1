/* Squares of pixels become their mean: by each of the ways that there are, against whole numbers. */
#include "test.h"

#include "image/box.h"
#include "image/box_whole.h"

#include <string.h>

enum {
	WIDTH_MAX = 150,
	ROWS = 8
};

static _Alignas(8) uint8_t bytes[ROWS][WIDTH_MAX * 8];
static uint32_t state = 1;

static uint32_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static unsigned get(const struct box *box, unsigned y, unsigned x, unsigned channel)
{
	const uint8_t *at = bytes[y] + (x * box->channels + channel) * (box->bits / 8U);
	uint16_t sample;

	if (box->bits == 8)
		return *at;
	memcpy(&sample, at, sizeof sample);
	return box->swapped ? __builtin_bswap16(sample) : sample;
}

static void put(const struct box *box, unsigned y, unsigned at, unsigned value)
{
	const uint16_t sample = (uint16_t)value;
	const uint16_t stored = box->swapped ? __builtin_bswap16(sample) : sample;

	if (box->bits == 8)
		bytes[y][at] = (uint8_t)value;
	else
		memcpy(bytes[y] + 2 * (size_t)at, &stored, sizeof stored);
}

/* Of numbers at random; of the highest alone; of few, many of them 0; of a low and a high alpha; of
 * pixels that are opaque, and of some that are. */
static void fill(const struct box *box, unsigned look)
{
	const unsigned most = (1U << box->bits) - 1;

	for (unsigned y = 0; y < ROWS; y++) {
		for (unsigned at = 0; at < WIDTH_MAX * box->channels; at++) {
			const unsigned number = next_random() >> 8;

			put(box, y, at,
				look == 0   ? number & most
				: look == 1 ? most
				: look == 2 ? (number & most) * (number >> 16 & 1)
				: look == 3 ? (number & 1 ? most : 1)
				: (at + 1) % box->channels == 0 && (look == 4 || at > 300)
					? most
					: number & most);
		}
	}
}

static unsigned expected(const struct box *box, unsigned height, unsigned square, unsigned channel)
{
	const bool weighed = box->channels % 2 == 0 && channel + 1U < box->channels;
	uint64_t sum = 0, weight = 0;

	for (unsigned y = 0; y < height; y++) {
		for (unsigned x = square * box->scale;
			x < (square + 1) * box->scale && x < box->width; x++) {
			const uint64_t one = weighed ? get(box, y, x, box->channels - 1U) : 1;

			sum += one * get(box, y, x, channel);
			weight += one;
		}
	}
	return weight ? (unsigned)((2 * sum + weight) / (2 * weight)) : 0;
}

/* Of so many squares; nothing is written behind the row. */
static void expect(const struct box *box, unsigned height, uint32_t squares, const uint8_t *means)
{
	for (unsigned i = 0; i < squares * box->channels; i++) {
		uint16_t sample;

		memcpy(&sample, means + 2 * (size_t)i, sizeof sample);
		assert_int_equal(box->bits == 8 ? means[i] : sample,
			expected(box, height, i / box->channels, i % box->channels));
	}
}

static void try(const struct box *box, unsigned height,
	uint32_t (*way)(const struct box *, const uint8_t *const *, uint8_t *))
{
	const uint32_t squares = (box->width + box->scale - 1U) / box->scale;
	const size_t size = (size_t)squares * box->channels * (box->bits / 8U);
	_Alignas(8) uint8_t means[WIDTH_MAX * 8 / 2 + 1];
	const uint8_t *rows[ROWS];
	uint32_t done = squares;

	for (unsigned y = 0; y < ROWS; y++)
		rows[y] = bytes[y];
	memset(means, 0xa5, sizeof means);
	if (way)
		done = way(box, rows, means);
	else
		box_mean(box, rows, height, means);
	assert_true(done <= squares);
	expect(box, height, done, means);
	assert_int_equal(means[size], 0xa5);
}

static void try_all(const struct box *box)
{
	const bool alpha = box->channels % 2 == 0;

	for (unsigned look = 0; look < 6; look++) {
		fill(box, look);
		for (unsigned height = 1; height <= box->scale; height++)
			try(box, height, NULL);
		try(box, box->scale, alpha ? box_alpha : box_plain);
		if (box_has_avx2(box))
			try(box, box->scale, box_avx2_any);
	}
}

static void squares_become_their_mean_in_every_way(void **unused)
{
	static const uint8_t widths[] = {1, 2, 3, 7, 8, 9, 16, 31, 33, 63, 64, 66, 127, WIDTH_MAX};

	(void)unused;
	for (size_t i = 0; i < sizeof widths; i++)
		for (uint8_t channels = 1; channels <= 4; channels++)
			for (uint8_t scale = 2; scale <= 8; scale *= 2)
				for (int kind = 0; kind < 3; kind++)
					try_all(&(struct box){.width = widths[i],
						.scale = scale,
						.channels = channels,
						.bits = kind ? 16 : 8,
						.swapped = kind == 2});
}

/* Four pixels of which the first two are of a colour by 1 above that of the others, with that half of
 * the weight or just less or more: for any other sum, the quotient is farther from where it is
 * rounded. */
static void put_half(const struct box *box, unsigned square, unsigned weight, unsigned colour)
{
	const unsigned upper = weight / 2, lower = weight - upper;
	const unsigned alphas[4] = {upper / 2, upper - upper / 2, lower / 2, lower - lower / 2};
	const unsigned first = (weight + colour) % 2 * 2;

	for (unsigned i = 0; i < 4; i++) {
		const unsigned at = (2 * square + i % 2) * 4;

		for (unsigned k = 0; k < 3; k++)
			put(box, i / 2, at + k, (colour + k * 85) % 255 + (i / 2 == first / 2));
		put(box, i / 2, at + 3, alphas[i]);
	}
}

static void halves_go_up_for_every_weight_and_colour(void **unused)
{
	const struct box box = {.width = 128, .scale = 2, .channels = 4, .bits = 8};

	(void)unused;
	for (unsigned weight = 1; weight <= 4 * 255; weight++) {
		for (unsigned colour = 0; colour < 256; colour += 32) {
			for (unsigned i = 0; i < 64; i++)
				put_half(&box, i, weight, colour + i % 32 + i / 32);
			try(&box, 2, NULL);
			try(&box, 2, box_alpha);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_go_up_for_every_weight_and_colour),
		cmocka_unit_test(squares_become_their_mean_in_every_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
