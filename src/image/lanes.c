#include "image/lanes.h"

#include "image/vectors.h"

/* The loops over lanes have a constant length wherever they are used: that is what makes vectors of
 * them. */
#define INLINE VECTOR_INLINE

enum {
	FRACTION8 = LANES_FRACTION(8),
	FRACTION16 = LANES_FRACTION(16),
	LANES16 = 16, /* of 16 bits at a time; LANES is a multiple */
};

static inline uint8_t clip8(int32_t sum)
{
	sum >>= FRACTION8;
	return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Sums of 16 bits are whole numbers far below 2^53: doubles are exact for them, and unlike 64-bit
 * integers are multiplied in vectors. */
static inline uint16_t clip16(double sum)
{
	/* It is rounded towards 0, which a sum below 0 becomes anyway. */
	int32_t whole = (int32_t)(sum * (1.0 / (1 << FRACTION16)));

	return (uint16_t)(whole < 0 ? 0 : whole > 65535 ? 65535 : whole);
}

static void sum_rows8(uint8_t *restrict target, const uint8_t *const *rows,
	const int32_t *restrict weights, uint32_t count, size_t samples)
{
	for (size_t at = 0; at < samples; at += LANES) {
		int32_t sums[LANES];

		for (unsigned i = 0; i < LANES; i++)
			sums[i] = 1 << (FRACTION8 - 1);
		for (uint32_t k = 0; k < count; k++) {
			const uint8_t *row = rows[k] + at;
			int32_t weight = weights[k];

			for (unsigned i = 0; i < LANES; i++)
				sums[i] += row[i] * weight;
		}
		for (unsigned i = 0; i < LANES; i++)
			target[at + i] = clip8(sums[i]);
	}
}

static void sum_rows16(uint16_t *restrict target, const uint8_t *const *rows,
	const int32_t *restrict weights, uint32_t count, size_t samples)
{
	for (size_t at = 0; at < samples; at += LANES16) {
		double sums[LANES16];

		for (unsigned i = 0; i < LANES16; i++)
			sums[i] = 1 << (FRACTION16 - 1);
		for (uint32_t k = 0; k < count; k++) {
			const uint16_t *row = (const uint16_t *)(const void *)rows[k] + at;
			const double weight = weights[k];

			for (unsigned i = 0; i < LANES16; i++)
				sums[i] += row[i] * weight;
		}
		for (unsigned i = 0; i < LANES16; i++)
			target[at + i] = clip16(sums[i]);
	}
}

void lanes_sum_rows(void *target, const uint8_t *const *rows, const int32_t *weights,
	uint32_t count, size_t samples, unsigned bits)
{
	if (bits == 16)
		sum_rows16(target, rows, weights, count, samples);
	else
		sum_rows8(target, rows, weights, count, samples);
}

INLINE void sum_columns8(const struct lanes_columns *work, unsigned channels)
{
	const unsigned lanes = LANES_ROWS * channels;
	const struct resize_axis *axis = work->axis;
	const int32_t *restrict weights = axis->weights;
	uint8_t *restrict target = work->target;

	for (uint32_t x = 0; x < axis->to; x++, weights += axis->taps, target += lanes) {
		const uint8_t *column = work->columns +
					(size_t)(axis->first[x] - axis->begin) * lanes;
		int32_t sums[LANES_ROWS * 4];

		for (unsigned i = 0; i < lanes; i++)
			sums[i] = 1 << (FRACTION8 - 1);
		for (uint32_t k = 0; k < axis->count[x]; k++, column += lanes)
			for (unsigned i = 0; i < lanes; i++)
				sums[i] += column[i] * weights[k];
		for (unsigned i = 0; i < lanes; i++)
			target[i] = clip8(sums[i]);
	}
}

INLINE void sum_columns16(const struct lanes_columns *work, unsigned channels)
{
	const unsigned lanes = LANES_ROWS * channels;
	const struct resize_axis *axis = work->axis;
	const int32_t *restrict weights = axis->weights;
	uint16_t *restrict target = (uint16_t *)(void *)work->target;

	for (uint32_t x = 0; x < axis->to; x++, weights += axis->taps, target += lanes) {
		const uint16_t *column = (const uint16_t *)(const void *)work->columns +
					 (size_t)(axis->first[x] - axis->begin) * lanes;
		double sums[LANES_ROWS * 4];

		for (unsigned i = 0; i < lanes; i++)
			sums[i] = 1 << (FRACTION16 - 1);
		for (uint32_t k = 0; k < axis->count[x]; k++, column += lanes)
			for (unsigned i = 0; i < lanes; i++)
				sums[i] += column[i] * (double)weights[k];
		for (unsigned i = 0; i < lanes; i++)
			target[i] = clip16(sums[i]);
	}
}

#define SUM_COLUMNS(channels, bits)                                                  \
	static void sum_columns##bits##_##channels(const struct lanes_columns *work) \
	{                                                                            \
		sum_columns##bits(work, channels);                                   \
	}

SUM_COLUMNS(1, 8)
SUM_COLUMNS(2, 8)
SUM_COLUMNS(3, 8)
SUM_COLUMNS(4, 8)
SUM_COLUMNS(1, 16)
SUM_COLUMNS(2, 16)
SUM_COLUMNS(3, 16)
SUM_COLUMNS(4, 16)

void lanes_sum_columns(const struct lanes_columns *work)
{
	static void (*const instances[2][4])(const struct lanes_columns *) = {
		{sum_columns8_1, sum_columns8_2, sum_columns8_3, sum_columns8_4},
		{sum_columns16_1, sum_columns16_2, sum_columns16_3, sum_columns16_4},
	};

	instances[work->bits == 16][work->channels - 1](work);
}

/* Vectors of rows become vectors of columns: each round zips the first half of them with the second,
 * and there are as many rounds as halves can be taken. */
INLINE void transpose(
	u8x16 *vectors, unsigned count, u8x16 (*first)(u8x16, u8x16), u8x16 (*second)(u8x16, u8x16))
{
	u8x16 zipped[LANES_ROWS];

	for (unsigned round = 1; round < count; round *= 2) {
		for (unsigned i = 0; i < count / 2; i++) {
			zipped[2 * i] = first(vectors[i], vectors[i + count / 2]);
			zipped[2 * i + 1] = second(vectors[i], vectors[i + count / 2]);
		}
		memcpy(vectors, zipped, count * sizeof *vectors);
	}
}

/* Returns how many samples of a row are done. */
static size_t to_columns8(uint8_t *columns, const uint8_t *rows, size_t samples)
{
	size_t at = 0;

	for (; samples - at >= 16; at += 16) {
		u8x16 vectors[16];

		for (unsigned i = 0; i < 16; i++)
			vectors[i] = vector_load(rows + i * samples + at);
		transpose(vectors, 16, zip_first8, zip_second8);
		for (unsigned i = 0; i < 16; i++)
			vector_store(columns + (at + i) * LANES_ROWS, vectors[i]);
	}
	return at;
}

static size_t to_columns16(uint16_t *columns, const uint16_t *rows, size_t samples)
{
	size_t at = 0;

	for (; samples - at >= 8; at += 8) {
		for (unsigned half = 0; half < LANES_ROWS; half += 8) {
			u8x16 vectors[8];

			for (unsigned i = 0; i < 8; i++)
				vectors[i] = vector_load(rows + (half + i) * samples + at);
			transpose(vectors, 8, zip_first16, zip_second16);
			for (unsigned i = 0; i < 8; i++)
				vector_store(columns + (at + i) * LANES_ROWS + half, vectors[i]);
		}
	}
	return at;
}

void lanes_to_columns(uint8_t *columns, const uint8_t *rows, size_t size, unsigned bits)
{
	uint16_t *columns16 = (uint16_t *)(void *)columns;
	const uint16_t *rows16 = (const uint16_t *)(const void *)rows;

	if (bits == 16) {
		for (size_t at = to_columns16(columns16, rows16, size / 2); at < size / 2; at++)
			for (unsigned i = 0; i < LANES_ROWS; i++)
				columns16[at * LANES_ROWS + i] = rows16[i * (size / 2) + at];
		return;
	}
	for (size_t at = to_columns8(columns, rows, size); at < size; at++)
		for (unsigned i = 0; i < LANES_ROWS; i++)
			columns[at * LANES_ROWS + i] = rows[i * size + at];
}

void lanes_to_rows(
	uint8_t *const rows[LANES_ROWS], const uint8_t *columns, size_t samples, unsigned bits)
{
	const uint16_t *columns16 = (const uint16_t *)(const void *)columns;

	if (bits == 16) {
		for (unsigned i = 0; i < LANES_ROWS; i++)
			for (size_t at = 0; at < samples; at++)
				((uint16_t *)(void *)rows[i])[at] = columns16[at * LANES_ROWS + i];
		return;
	}
	for (unsigned i = 0; i < LANES_ROWS; i++)
		for (size_t at = 0; at < samples; at++)
			rows[i][at] = columns[at * LANES_ROWS + i];
}
