#include "image/png_source.h"

#include "image/png_chunks.h"

#include <string.h>

void png_source_init(
	struct png_source *source, const uint8_t *file, size_t size, uint64_t chunk_limit)
{
	*source = (struct png_source){.file = file,
		.size = size,
		.boundary = PNG_SIGNATURE_SIZE,
		.chunk_limit = chunk_limit};
}

/* Between two chunks. */
static void begin_chunk(struct png_source *source)
{
	struct png_chunk chunk;

	while (png_chunk_read(source->file, source->size, source->boundary, &chunk)) {
		source->position = source->boundary;
		source->boundary = chunk.next;
		source->in_pixels |= png_chunk_is(&chunk, "IDAT");
		if (!png_chunk_is_oversized(&chunk, source->chunk_limit))
			return;
		source->position = source->boundary;
	}
}

bool png_source_read(struct png_source *source, uint8_t *target, size_t size)
{
	if (source->position == source->boundary)
		begin_chunk(source);
	if (source->salvage && source->in_pixels) {
		png_salvage_read(source->salvage, target, size);
		return true;
	}
	if (size > source->size - source->position)
		return false;
	memcpy(target, source->file + source->position, size);
	source->position += size;
	return true;
}
