#include "image/box.h"

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

/* Of one column of pixels, for each sample: eight of 8 bits fit 16, eight of 16 bits or products of
 * 8 bits fit 32. Only products of 16 bits are added up by squares. */
static unsigned sum_bytes(const struct box *box)
{
	return box->bits / 8 * (has_alpha(box) ? 4 : 2);
}

uint64_t box_memory(const struct box *box)
{
	return (uint64_t)box->width * box->channels * sum_bytes(box);
}

/* ---- without alpha ---- */

#define PLAIN(bits, sample, column)                                                       \
	static void add_plain##bits(                                                      \
		column *restrict sums, const sample *restrict row, size_t samples)        \
	{                                                                                 \
		size_t i = 0;                                                             \
                                                                                          \
		for (; samples - i >= LANES; i += LANES)                                  \
			for (unsigned k = 0; k < LANES; k++)                              \
				sums[i + k] = (column)(sums[i + k] + row[i + k]);         \
		for (; i < samples; i++)                                                  \
			sums[i] = (column)(sums[i] + row[i]);                             \
	}                                                                                 \
                                                                                          \
	INLINE void mean_square##bits(const column *from, sample *row, unsigned across,   \
		unsigned height, unsigned channels)                                       \
	{                                                                                 \
		for (unsigned i = 0; i < channels; i++) {                                 \
			uint32_t sum = across * height / 2;                               \
                                                                                          \
			for (unsigned k = 0; k < across; k++)                             \
				sum += from[k * channels + i];                            \
			row[i] = (sample)(sum / (across * height));                       \
		}                                                                         \
	}                                                                                 \
                                                                                          \
	INLINE void mean_plain##bits(const struct box *box, sample *row, unsigned height, \
		unsigned scale, unsigned channels)                                        \
	{                                                                                 \
		const column *from = box->sums;                                           \
		unsigned rest = box->width % scale;                                       \
                                                                                          \
		for (uint32_t x = box->width / scale; x > 0; x--) {                       \
			if (height == scale)                                              \
				mean_square##bits(from, row, scale, scale, channels);     \
			else                                                              \
				mean_square##bits(from, row, scale, height, channels);    \
			from += scale * channels;                                         \
			row += channels;                                                  \
		}                                                                         \
		if (rest)                                                                 \
			mean_square##bits(from, row, rest, height, channels);             \
	}

PLAIN(8, uint8_t, uint16_t)
PLAIN(16, uint16_t, uint32_t)

/* ---- 8 bits with alpha ---- */

typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef uint16_t lanes16 __attribute__((vector_size(16)));

/* Eight samples, of which every fourth or every second is alpha. */
INLINE lanes16 weights(lanes16 samples, unsigned channels)
{
	if (channels == 4) {
		const lanes16 colours = {0xffff, 0xffff, 0xffff, 0, 0xffff, 0xffff, 0xffff, 0};
		const lanes16 ones = {0, 0, 0, 1, 0, 0, 0, 1};

		return (__builtin_shufflevector(samples, samples, 3, 3, 3, 3, 7, 7, 7, 7) &
			       colours) |
		       ones;
	}
	const lanes16 colours = {0xffff, 0, 0xffff, 0, 0xffff, 0, 0xffff, 0};
	const lanes16 ones = {0, 1, 0, 1, 0, 1, 0, 1};

	return (__builtin_shufflevector(samples, samples, 1, 1, 3, 3, 5, 5, 7, 7) & colours) | ones;
}

INLINE void add_alpha8(
	uint32_t *restrict sums, const uint8_t *restrict row, size_t samples, unsigned channels)
{
	size_t i = 0;

	for (; samples - i >= 8; i += 8) {
		uint16_t products[8];
		lanes16 wide, product;
		bytes8 bytes;

		memcpy(&bytes, row + i, sizeof bytes);
		wide = __builtin_convertvector(bytes, lanes16);
		product = wide * weights(wide, channels);
		memcpy(products, &product, sizeof products);
		for (unsigned k = 0; k < 8; k++)
			sums[i + k] += products[k];
	}
	for (; i < samples; i += channels) {
		uint32_t alpha = row[i + channels - 1];

		for (unsigned k = 0; k + 1 < channels; k++)
			sums[i + k] += row[i + k] * alpha;
		sums[i + channels - 1] += alpha;
	}
}

/* Numbers below 2^24, whose quotient as a float cannot round up to a whole number. */
INLINE uint8_t weighted_mean(uint32_t sum, uint32_t weight)
{
	return (uint8_t)((float)(int32_t)(sum + weight / 2) / (float)(int32_t)weight);
}

INLINE void mean_square_alpha8(
	const uint32_t *from, uint8_t *row, unsigned across, unsigned height, unsigned channels)
{
	uint32_t sum[4] = {0}, weight;

	for (unsigned k = 0; k < across; k++, from += channels)
		for (unsigned i = 0; i < channels; i++)
			sum[i] += from[i];
	weight = sum[channels - 1];
	for (unsigned i = 0; i + 1 < channels; i++)
		row[i] = weighted_mean(sum[i], weight ? weight : 1);
	row[channels - 1] = (uint8_t)((weight + across * height / 2) / (across * height));
}

INLINE void mean_alpha8(
	const struct box *box, uint8_t *row, unsigned height, unsigned scale, unsigned channels)
{
	const uint32_t *from = box->sums;
	unsigned rest = box->width % scale;

	for (uint32_t x = box->width / scale; x > 0; x--) {
		if (height == scale)
			mean_square_alpha8(from, row, scale, scale, channels);
		else
			mean_square_alpha8(from, row, scale, height, channels);
		from += scale * channels;
		row += channels;
	}
	if (rest)
		mean_square_alpha8(from, row, rest, height, channels);
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

void box_add(const struct box *box, const uint8_t *row)
{
	size_t samples = (size_t)box->width * box->channels;
	const uint16_t *row16 = (const uint16_t *)(const void *)row;

	if (!has_alpha(box) && box->bits == 8)
		add_plain8(box->sums, row, samples);
	else if (!has_alpha(box))
		add_plain16(box->sums, row16, samples);
	else if (box->bits == 8 && box->channels == 4)
		add_alpha8(box->sums, row, samples, 4);
	else if (box->bits == 8)
		add_alpha8(box->sums, row, samples, 2);
	else if (box->channels == 4)
		add_alpha16(box, row16, 4);
	else
		add_alpha16(box, row16, 2);
}

#define BY_SCALE(what, row, channels)                        \
	do {                                                 \
		if (box->scale == 2)                         \
			what(box, row, height, 2, channels); \
		else if (box->scale == 4)                    \
			what(box, row, height, 4, channels); \
		else                                         \
			what(box, row, height, 8, channels); \
	} while (0)

static void mean8(const struct box *box, uint8_t *row, unsigned height)
{
	if (box->channels == 1)
		BY_SCALE(mean_plain8, row, 1);
	else if (box->channels == 2)
		BY_SCALE(mean_alpha8, row, 2);
	else if (box->channels == 3)
		BY_SCALE(mean_plain8, row, 3);
	else
		BY_SCALE(mean_alpha8, row, 4);
}

static void mean16(const struct box *box, uint16_t *row, unsigned height)
{
	if (box->channels == 1)
		BY_SCALE(mean_plain16, row, 1);
	else if (box->channels == 3)
		BY_SCALE(mean_plain16, row, 3);
	else
		mean_alpha16(box, row, height);
}

void box_mean(const struct box *box, uint8_t *row, unsigned height)
{
	if (box->bits == 8)
		mean8(box, row, height);
	else
		mean16(box, (uint16_t *)(void *)row, height);
	memset(box->sums, 0, box_memory(box));
}
