#include "image/png_salvage.h"

#include "image/png_chunks.h"

#include <stdlib.h>
#include <string.h>

enum {
	ZLIB_HEADER = 2,
	BLOCK_HEADER = 5,
	BLOCK_MAX = 32768, /* bytes in a stored block; deflate allows 65535 */
};

static bool next_chunk(struct png_salvage *salvage)
{
	struct png_chunk chunk;

	if (!png_chunk_read(salvage->file, salvage->size, salvage->next, &chunk) ||
		!png_chunk_is(&chunk, "IDAT"))
		return false;
	salvage->next = chunk.next;
	salvage->zip.next_in = (z_const Bytef *)chunk.data;
	salvage->zip.avail_in = chunk.available;
	return true;
}

/* Up to `size` bytes; how many there were. Fewer only at the end. */
static size_t inflate_some(struct png_salvage *salvage, uint8_t *target, size_t size)
{
	z_stream *zip = &salvage->zip;

	zip->next_out = target;
	zip->avail_out = (uInt)size;
	while (zip->avail_out > 0 && !salvage->ended) {
		int status;

		if (zip->avail_in == 0 && !next_chunk(salvage)) {
			salvage->ended = true;
			break;
		}
		status = inflate(zip, Z_NO_FLUSH);
		salvage->ended = status != Z_OK && status != Z_BUF_ERROR;
	}
	return size - zip->avail_out;
}

static void rewind_stream(struct png_salvage *salvage)
{
	inflateReset(&salvage->zip);
	salvage->zip.avail_in = 0;
	salvage->next = salvage->start;
	salvage->ended = false;
}

int png_salvage_begin(struct png_salvage *salvage, const uint8_t *file, size_t size, size_t start,
	uint64_t wanted, struct error *err)
{
	size_t some;

	*salvage = (struct png_salvage){
		.file = file, .size = size, .start = start, .wanted = wanted};
	salvage->chunk = malloc(PNG_CHUNK_OVERHEAD + ZLIB_HEADER + BLOCK_HEADER + BLOCK_MAX);
	salvage->begun = salvage->chunk && inflateInit2(&salvage->zip, MAX_WBITS) == Z_OK;
	if (!salvage->begun)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	rewind_stream(salvage);
	do {
		some = inflate_some(salvage, salvage->chunk, BLOCK_MAX);
		salvage->available += some;
	} while (some == BLOCK_MAX && salvage->available < wanted);
	if (salvage->available > wanted)
		salvage->available = wanted;
	rewind_stream(salvage);
	salvage->adler = (uint32_t)adler32_z(0, NULL, 0);
	return STATUS_OK;
}

static uint8_t *put_be32(uint8_t *at, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		*at++ = (uint8_t)(value >> shift);
	return at;
}

/* A stored block of `size` bytes. libpng limits the length of a chunk by what the image needs, so
 * there is never more in one. */
static uint8_t *put_block(struct png_salvage *salvage, uint8_t *at, size_t size)
{
	const uint8_t header[BLOCK_HEADER] = {size == 0, (uint8_t)size, (uint8_t)(size >> 8),
		(uint8_t)~size, (uint8_t)(~size >> 8)};
	size_t some;

	if (salvage->handed_on == 0) {
		memcpy(at, "\x78\x01", ZLIB_HEADER);
		at += ZLIB_HEADER;
	}
	memcpy(at, header, sizeof header);
	at += sizeof header;
	some = inflate_some(salvage, at, size);
	memset(at + some, 0, size - some);
	salvage->adler = (uint32_t)adler32_z(salvage->adler, at, size);
	salvage->handed_on += size;
	return at + size;
}

/* Its own checksum is not right: libpng is told not to look. */
static void make_chunk(struct png_salvage *salvage)
{
	uint64_t left = salvage->wanted - salvage->handed_on;
	uint8_t *start = salvage->chunk, *data = start + PNG_CHUNK_HEADER, *end = data;

	memcpy(start + 4, salvage->finished ? "IEND" : "IDAT", 4);
	if (left > 0) {
		end = put_block(salvage, data, left < BLOCK_MAX ? (size_t)left : BLOCK_MAX);
	} else if (!salvage->finished) {
		/* In a chunk of its own: zlib would look at the checksum together with the last
		 * row, and libpng throw both away. */
		end = put_be32(put_block(salvage, data, 0), salvage->adler);
		salvage->finished = true;
	}
	put_be32(start, (uint32_t)(end - data));
	end = put_be32(end, 0);
	salvage->filled = (size_t)(end - start);
	salvage->taken = 0;
}

void png_salvage_read(struct png_salvage *salvage, uint8_t *target, size_t size)
{
	while (size > 0) {
		size_t some = salvage->filled - salvage->taken;

		if (some == 0) {
			make_chunk(salvage);
			continue;
		}
		if (some > size)
			some = size;
		memcpy(target, salvage->chunk + salvage->taken, some);
		salvage->taken += some;
		target += some;
		size -= some;
	}
}

void png_salvage_end(struct png_salvage *salvage)
{
	if (salvage->begun)
		inflateEnd(&salvage->zip);
	free(salvage->chunk);
	*salvage = (struct png_salvage){.begun = false};
}
