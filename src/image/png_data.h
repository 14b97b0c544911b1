/*
 * The data of a PNG's pixels, inflated: rows with their filters. For images that are not interlaced,
 * and as long as nothing is wrong, which is libpng's to tell.
 */
#pragma once

#include "image/inflate.h"
#include "image/png_codec.h"

struct png_data {
	const struct image_reader *reader;
	struct inflater *inflater;
	size_t at;            /* the first IDAT chunk that is not gathered yet */
	size_t chunks;        /* from there on */
	size_t gathered;      /* bytes of its data that are */
	size_t row;           /* bytes of one, without its filter */
	uint64_t size;        /* of all rows, with their filters */
	uint64_t packed_size; /* of what the chunks hold */
	uint64_t packed_room, room;
	bool damaged; /* a chunk that was gathered */
	uint8_t *packed;
	uint8_t *next; /* the first row that has not been taken */
};

/*
 * Looks at all chunks from the first IDAT on, and says what memory it takes: packed_room and room. For
 * data in pieces that is little, and stays in the cache; but rows are there before the data have
 * been seen to be whole. False if the image is not for us.
 */
bool png_data_survey(
	struct png_data *data, const struct png_codec *codec, size_t row, bool in_pieces);

/* With such memory. */
bool png_data_begin(
	struct png_data *data, struct inflater *inflater, uint8_t *packed, uint8_t *target);

/* The next rows, at most PNG_ROWS_BEST, until the next call; NULL if the data are damaged. If they are
 * not in pieces, only the first call can say so. */
const uint8_t *png_data_rows(struct png_data *data, unsigned count);

/* After the last row: whether nothing was wrong. */
bool png_data_is_whole(struct png_data *data);
