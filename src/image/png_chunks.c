#include "image/png_chunks.h"

#include "dynload/libz.h"

#include <string.h>

bool png_chunk_read(const uint8_t *file, size_t size, size_t at, struct png_chunk *ret)
{
	size_t rest;

	if (at > size || size - at < PNG_CHUNK_HEADER)
		return false;
	rest = size - at - PNG_CHUNK_HEADER;
	ret->length = read_be32(file + at);
	ret->type = file + at + 4;
	ret->data = file + at + PNG_CHUNK_HEADER;
	ret->available = ret->length < rest ? ret->length : (uint32_t)rest;
	ret->complete = rest >= 4 && ret->length <= rest - 4;
	ret->next = ret->complete ? at + PNG_CHUNK_OVERHEAD + ret->length : size;
	return true;
}

bool png_chunk_is(const struct png_chunk *chunk, const char *type)
{
	return memcmp(chunk->type, type, 4) == 0;
}

bool png_chunk_is_frame(const struct png_chunk *chunk)
{
	return png_chunk_is(chunk, "fcTL") || png_chunk_is(chunk, "fdAT");
}

bool png_chunk_crc_is_right(const struct png_chunk *chunk)
{
	return crc32_z(0, chunk->type, (size_t)chunk->length + 4) ==
	       read_be32(chunk->data + chunk->length);
}
