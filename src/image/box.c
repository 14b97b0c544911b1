#include "image/box.h"

#include "image/box_lanes.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The loops are written once; called with constants, each becomes its own. */
#define INLINE static inline __attribute__((always_inline))

/* An inner loop of constant length is what compilers make vectors of. */
enum {
	LANES = 32
};

static bool has_alpha(const struct box *box)
{
	return box->channels % 2 == 0;
}

static uint32_t squares(const struct box *box)
{
	return box->width / box->scale + (box->width % box->scale != 0);
}

/* Without alpha, of each column: eight of 8 bits fit 16, eight of 16 bits fit 32. With alpha, of
 * each square: products of 8 bits fit 32. */
uint64_t box_memory(const struct box *box)
{
	if (has_alpha(box))
		return (uint64_t)squares(box) * box->channels * (box->bits / 2);
	return (uint64_t)box->width * box->channels * (box->bits / 4);
}

/* ---- without alpha ---- */

#define PLAIN(bits, sample, column)                                                             \
	INLINE void put_plain##bits(                                                            \
		column *restrict sums, const sample *restrict row, size_t samples, bool first)  \
	{                                                                                       \
		size_t i = 0;                                                                   \
                                                                                                \
		for (; samples - i >= LANES; i += LANES)                                        \
			for (unsigned k = 0; k < LANES; k++)                                    \
				sums[i + k] = (column)((first ? 0 : sums[i + k]) + row[i + k]); \
		for (; i < samples; i++)                                                        \
			sums[i] = (column)((first ? 0 : sums[i]) + row[i]);                     \
	}                                                                                       \
                                                                                                \
	static void add_plain##bits(                                                            \
		column *restrict sums, const sample *restrict row, size_t samples, bool first)  \
	{                                                                                       \
		if (first)                                                                      \
			put_plain##bits(sums, row, samples, true);                              \
		else                                                                            \
			put_plain##bits(sums, row, samples, false);                             \
	}                                                                                       \
                                                                                                \
	INLINE void mean_square##bits(const column *from, sample *row, unsigned across,         \
		unsigned height, unsigned channels)                                             \
	{                                                                                       \
		for (unsigned i = 0; i < channels; i++) {                                       \
			uint32_t sum = across * height / 2;                                     \
                                                                                                \
			for (unsigned k = 0; k < across; k++)                                   \
				sum += from[k * channels + i];                                  \
			row[i] = (sample)(sum / (across * height));                             \
		}                                                                               \
	}                                                                                       \
                                                                                                \
	INLINE void mean_plain##bits(const struct box *box, sample *row, unsigned scale,        \
		unsigned height, unsigned channels)                                             \
	{                                                                                       \
		const column *from = box->sums;                                                 \
		unsigned rest = box->width % scale;                                             \
                                                                                                \
		for (uint32_t x = box->width / scale; x > 0; x--) {                             \
			if (height == scale)                                                    \
				mean_square##bits(from, row, scale, scale, channels);           \
			else                                                                    \
				mean_square##bits(from, row, scale, height, channels);          \
			from += scale * channels;                                               \
			row += channels;                                                        \
		}                                                                               \
		if (rest)                                                                       \
			mean_square##bits(from, row, rest, height, channels);                   \
	}

PLAIN(8, uint8_t, uint16_t)
PLAIN(16, uint16_t, uint32_t)

/* Of three channels at 1/2, from two rows: the sums of all neighbours are taken, as vectors, and
 * those across two squares left out. */
static void halve_rgb8(const struct box *box, uint8_t *row)
{
	enum {
		SQUARES = 16
	};
	const uint16_t *from = box->sums;
	uint32_t left = box->width / 2;

	/* A pixel is copied with a byte of the next one. */
	for (; left > SQUARES; left -= SQUARES, from += SQUARES * 6) {
		uint8_t means[SQUARES * 6];

		for (unsigned i = 0; i < SQUARES * 6; i++)
			means[i] = (uint8_t)((uint16_t)(from[i] + from[i + 3] + 2) / 4);
		for (unsigned i = 0; i < SQUARES; i++, row += 3)
			memcpy(row, means + i * 6, 4);
	}
	for (; left > 0; left--, from += 6, row += 3)
		mean_square8(from, row, 2, 2, 3);
	if (box->width % 2)
		mean_square8(from, row, 1, 2, 3);
}

/* ---- 8 bits with alpha ---- */

INLINE void add_some(uint32_t *sums, const uint8_t *row, unsigned count, unsigned channels)
{
	for (; count > 0; count--, row += channels) {
		uint32_t alpha = row[channels - 1];

		for (unsigned i = 0; i + 1 < channels; i++)
			sums[i] += row[i] * alpha;
		sums[channels - 1] += alpha;
	}
}

INLINE void add_grey_alpha8(const struct box *box, const uint8_t *row, unsigned scale, bool first)
{
	uint32_t *sums = box->sums;

	for (uint32_t x = box->width / scale; x > 0; x--, sums += 2, row += 2 * scale) {
		if (first)
			sums[0] = sums[1] = 0;
		add_some(sums, row, scale, 2);
	}
	if (first && box->width % scale)
		sums[0] = sums[1] = 0;
	add_some(sums, row, box->width % scale, 2);
}

INLINE void add_alpha8(const struct box *box, const uint8_t *row, unsigned scale, bool first)
{
	const uint32_t zeros[4] = {0};
	uint32_t *sums = box->sums;

	for (uint32_t x = box->width / scale; x > 0; x--, sums += 4) {
		box_sums sum = box_sums_load(first ? zeros : sums);

		for (unsigned k = 0; k < scale; k += 2, row += 8)
			sum = box_sums_add(sum, row);
		box_sums_store(sums, sum);
	}
	if (box->width % scale == 0)
		return;
	if (first)
		memset(sums, 0, sizeof zeros);
	add_some(sums, row, box->width % scale, 4);
}

/* Of grey and alpha. As in box_lanes.h, floats of numbers below 2^24 do. */
INLINE void mean_square_grey(const uint32_t *sums, uint32_t pixels, uint8_t *pixel)
{
	const uint32_t weight = sums[1] ? sums[1] : 1;

	pixel[0] = (uint8_t)(int32_t)((float)(int32_t)(sums[0] + weight / 2) /
				      (float)(int32_t)weight);
	pixel[1] = (uint8_t)(int32_t)((float)(int32_t)(sums[1] + pixels / 2) /
				      (float)(int32_t)pixels);
}

static void mean_alpha8(const struct box *box, uint8_t *row, unsigned height)
{
	const uint32_t *sums = box->sums;

	for (uint32_t left = 0; left < box->width; left += box->scale) {
		const uint32_t rest = box->width - left;
		const uint32_t pixels = (rest < box->scale ? rest : box->scale) * height;

		if (box->channels == 4)
			box_sums_mean(box_sums_load(sums), pixels, row);
		else
			mean_square_grey(sums, pixels, row);
		sums += box->channels;
		row += box->channels;
	}
}

/* ---- 16 bits with alpha ---- */

INLINE void add_alpha16(const struct box *box, const uint16_t *row, unsigned channels)
{
	uint64_t *sums = box->sums;

	for (uint32_t x = 0; x < box->width;) {
		for (unsigned k = 0; k < box->scale && x < box->width; k++, x++, row += channels) {
			uint64_t alpha = row[channels - 1];

			for (unsigned i = 0; i + 1 < channels; i++)
				sums[i] += row[i] * alpha;
			sums[channels - 1] += alpha;
		}
		sums += channels;
	}
}

/* round(sum / weight); most weights are powers of two, and division is slow. */
static uint64_t mean(uint64_t sum, uint64_t weight)
{
	sum += weight / 2;
	if ((weight & (weight - 1)) == 0)
		return weight ? sum >> __builtin_ctzll(weight) : 0;
	return sum / weight;
}

static void mean_alpha16(const struct box *box, uint16_t *row, unsigned height)
{
	const uint64_t *sums = box->sums;
	unsigned channels = box->channels;

	for (uint32_t left = 0; left < box->width; left += box->scale) {
		uint32_t rest = box->width - left;
		uint64_t pixels = (uint64_t)(rest < box->scale ? rest : box->scale) * height;
		uint64_t weight = sums[channels - 1];

		for (unsigned i = 0; i + 1 < channels; i++)
			row[i] = (uint16_t)mean(sums[i], weight);
		row[channels - 1] = (uint16_t)mean(weight, pixels);
		sums += channels;
		row += channels;
	}
}

/* ---- all of them ---- */

#define BY_SCALE(what, ...)                             \
	do {                                            \
		if (box->scale == 2)                    \
			what(box, row, 2, __VA_ARGS__); \
		else if (box->scale == 4)               \
			what(box, row, 4, __VA_ARGS__); \
		else                                    \
			what(box, row, 8, __VA_ARGS__); \
	} while (0)

static void add_alpha_of_8(const struct box *box, const uint8_t *row, bool first)
{
	if (box->channels == 2)
		BY_SCALE(add_grey_alpha8, first);
	else if (first)
		BY_SCALE(add_alpha8, true);
	else
		BY_SCALE(add_alpha8, false);
}

static void add_alpha(const struct box *box, const uint8_t *row, bool first)
{
	const uint16_t *row16 = (const uint16_t *)(const void *)row;

	if (box->bits == 8) {
		add_alpha_of_8(box, row, first);
		return;
	}
	if (first)
		memset(box->sums, 0, box_memory(box));
	if (box->channels == 4)
		add_alpha16(box, row16, 4);
	else
		add_alpha16(box, row16, 2);
}

void box_add(const struct box *box, const uint8_t *row, bool first)
{
	size_t samples = (size_t)box->width * box->channels;

	if (has_alpha(box))
		add_alpha(box, row, first);
	else if (box->bits == 8)
		add_plain8(box->sums, row, samples, first);
	else
		add_plain16(box->sums, (const uint16_t *)(const void *)row, samples, first);
}

static void mean8(const struct box *box, uint8_t *row, unsigned height)
{
	if (has_alpha(box))
		mean_alpha8(box, row, height);
	else if (box->channels == 1)
		BY_SCALE(mean_plain8, height, 1);
	else if (box->scale == 2 && height == 2)
		halve_rgb8(box, row);
	else
		BY_SCALE(mean_plain8, height, 3);
}

static void mean16(const struct box *box, uint16_t *row, unsigned height)
{
	if (box->channels == 1)
		BY_SCALE(mean_plain16, height, 1);
	else if (box->channels == 3)
		BY_SCALE(mean_plain16, height, 3);
	else
		mean_alpha16(box, row, height);
}

void box_mean(const struct box *box, uint8_t *row, unsigned height)
{
	if (box->bits == 8)
		mean8(box, row, height);
	else
		mean16(box, (uint16_t *)(void *)row, height);
}
