#include "image/png_data.h"

#include "base/number.h"
#include "image/checksum.h"
#include "image/png_chunks.h"
#include "image/png_pixels.h"
#include "image/png_unfilter.h"

#include <string.h>

/* Small images, which a fuzzer makes many of, have many pieces, too. */
#ifdef SMALL_PIECES
#define PIECE_BITS 6
#else
#define PIECE_BITS 16
#endif

enum {
	PIECE = 1 << PIECE_BITS,        /* bytes inflated at a time: they stay in the cache */
	PACKED_PIECE = 1 << PIECE_BITS, /* deflated bytes gathered for that */
};

static bool checksum_is_right(const struct png_chunk *chunk)
{
	return checksum_crc32(chunk->type, (size_t)chunk->length + 4) ==
	       read_be32(chunk->data + chunk->length);
}

/* Nothing that libpng would have to say something about. */
static bool is_ordinary(const struct png_chunk *chunk)
{
	for (int i = 0; i < 4; i++)
		if ((chunk->type[i] | 0x20) < 'a' || (chunk->type[i] | 0x20) > 'z')
			return false;
	return chunk->complete && chunk->length <= PNG_UINT_31_MAX;
}

/* libpng refuses a chunk that is longer than the image may need. */
static bool has_ordinary_length(const struct png_data *data, const struct png_chunk *chunk)
{
	uint64_t limit = data->reader->limits.chunk_bytes;

	return chunk->length > 0 && (limit == 0 || chunk->length <= limit ||
					    chunk->length <= data->size + data->size / 32768 * 5);
}

/* Measures the IDAT chunks, and looks at those behind them. */
static bool survey(struct png_data *data)
{
	const struct image_reader *reader = data->reader;
	size_t at = data->at;
	struct png_chunk chunk;

	for (; png_chunk_read(reader->data, reader->size, at, &chunk); at = chunk.next) {
		if (!png_chunk_is(&chunk, "IDAT"))
			break;
		if (!is_ordinary(&chunk) || !has_ordinary_length(data, &chunk))
			return false;
		data->packed_size += chunk.length;
		data->chunks++;
	}
	for (; png_chunk_read(reader->data, reader->size, at, &chunk); at = chunk.next) {
		bool oversized = png_chunk_is_oversized(&chunk, reader->limits.chunk_bytes);

		if (png_chunk_is(&chunk, "IEND"))
			return is_ordinary(&chunk) && chunk.length == 0 &&
			       checksum_is_right(&chunk);
		if (!png_chunk_is_ancillary(&chunk) ||
			(!oversized && (!is_ordinary(&chunk) || !checksum_is_right(&chunk))))
			return false;
	}
	return false;
}

/* A single chunk is read where it is. */
static uint64_t packed_room(const struct png_data *data, bool in_pieces)
{
	const uint64_t room = PACKED_PIECE + INFLATE_BEHIND + INFLATE_HUNGRY;
	const uint64_t all = data->packed_size + INFLATE_BEHIND;

	if (data->chunks <= 1)
		return 0;
	return in_pieces && room < all ? room : all;
}

static uint64_t data_room(const struct png_data *data, bool in_pieces)
{
	const uint64_t rows = PNG_ROWS_BEST * ((uint64_t)data->row + 1);
	const uint64_t room = (rows > PIECE ? rows : PIECE) + INFLATE_WINDOW + INFLATE_LEFT_MAX;

	return in_pieces && room < data->size ? room : data->size;
}

bool png_data_survey(
	struct png_data *data, const struct png_codec *codec, size_t row, bool in_pieces)
{
	*data = (struct png_data){.reader = codec->reader,
		.at = codec->pixels_at,
		.row = row,
		.size = png_pixels_data(codec)};
	if (!survey(data))
		return false;
	data->packed_room = packed_room(data, in_pieces);
	data->room = data_room(data, in_pieces);
	return true;
}

/* Copies what follows in the chunks behind the first `size` bytes of the room; returns how many there
 * are then. */
static size_t gather(struct png_data *data, size_t size)
{
	while (size < data->packed_room && data->chunks > 0) {
		const size_t room = data->packed_room - size;
		struct png_chunk chunk;
		size_t some;

		png_chunk_read(data->reader->data, data->reader->size, data->at, &chunk);
		if (data->gathered == 0 && !checksum_is_right(&chunk))
			data->damaged = true;
		some = chunk.length - data->gathered < room ? chunk.length - data->gathered : room;
		memcpy(data->packed + size, chunk.data + data->gathered, some);
		size += some;
		data->gathered += some;
		if (data->gathered < chunk.length)
			break;
		data->gathered = 0;
		data->at = chunk.next;
		data->chunks--;
	}
	return size;
}

bool png_data_begin(
	struct png_data *data, struct inflater *inflater, uint8_t *packed, uint8_t *target)
{
	struct png_chunk chunk;

	data->inflater = inflater;
	data->packed = packed;
	data->next = target;
	if (data->packed_room > 0) {
		const size_t size = gather(data, INFLATE_BEHIND) - INFLATE_BEHIND;

		return !data->damaged && inflate_begin(inflater, packed + INFLATE_BEHIND, size,
						 data->chunks > 0, target, data->room, data->size);
	}
	return png_chunk_read(data->reader->data, data->reader->size, data->at, &chunk) &&
	       checksum_is_right(&chunk) &&
	       inflate_begin(
		       inflater, chunk.data, chunk.length, false, target, data->room, data->size);
}

/* More deflated data. */
static void feed(struct png_data *data)
{
	const struct inflate_stream *stream = &data->inflater->stream;
	const size_t left = (size_t)(stream->in_end - stream->in) + INFLATE_BEHIND;
	size_t size;

	memmove(data->packed, stream->in - INFLATE_BEHIND, left);
	size = gather(data, left);
	inflate_feed(data->inflater, data->packed + INFLATE_BEHIND, size - INFLATE_BEHIND,
		data->chunks > 0);
}

static bool filters_are_known(const struct png_data *data)
{
	const uint8_t *end = data->inflater->stream.out;

	for (const uint8_t *at = data->next; at < end; at += data->row + 1)
		if (*at >= PNG_FILTERS)
			return false;
	return true;
}

static bool go_on(struct png_data *data)
{
	if (inflate_is_hungry(data->inflater))
		feed(data);
	else
		data->next = inflate_make_way(data->inflater, data->next);
	return !data->damaged && inflate_next(data->inflater) && filters_are_known(data);
}

const uint8_t *png_data_rows(struct png_data *data, unsigned count)
{
	const size_t size = count * (data->row + 1);
	const uint8_t *rows;

	while ((size_t)(data->inflater->stream.out - data->next) < size)
		if (!go_on(data))
			return NULL;
	rows = data->next;
	data->next += size;
	return rows;
}

bool png_data_is_whole(struct png_data *data)
{
	while (data->inflater->block != INFLATE_WHOLE)
		if (!go_on(data))
			return false;
	return true;
}
