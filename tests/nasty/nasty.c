#include "internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

size_t nasty_generate(nasty_visitor *visit, void *context)
{
	struct nasty nasty = {.visit = visit, .context = context};

	nasty_mutations(&nasty);
	nasty_png(&nasty);
	nasty_jpeg(&nasty);
	return nasty.count;
}

void nasty_show(struct nasty *nasty, const struct bytes *file, enum verdict verdict,
	const char *format, ...)
{
	char name[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof name, format, arguments);
	va_end(arguments);
	nasty->count++;
	nasty->visit(&(struct nasty_file){.name = name,
			     .data = file->data,
			     .size = file->size,
			     .refused = verdict == REFUSED,
			     .whole = verdict == WHOLE},
		nasty->context);
}

static void *must(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

void bytes_replace(struct bytes *bytes, size_t at, size_t old, const void *data, size_t size)
{
	size_t after = bytes->size - at - old;

	if (size > old)
		bytes->data = must(realloc(bytes->data, bytes->size + size - old));
	memmove(bytes->data + at + size, bytes->data + at + old, after);
	if (size)
		memcpy(bytes->data + at, data, size);
	bytes->size = at + size + after;
}

void bytes_repeat(struct bytes *bytes, const void *data, size_t size, size_t times)
{
	bytes->data = must(realloc(bytes->data, bytes->size + size * times + 1));
	for (size_t i = 0; size && i < times; i++, bytes->size += size)
		memcpy(bytes->data + bytes->size, data, size);
}

void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
	bytes_repeat(bytes, data, size, 1);
}

/* In a block of exactly that size, so that a read past its end is seen. */
struct bytes bytes_copy(const struct bytes *bytes, size_t size)
{
	struct bytes copy = {.data = must(malloc(size ? size : 1)), .size = size};

	memcpy(copy.data, bytes->data, size);
	return copy;
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}

void put_be32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

uint32_t get_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

uint32_t nasty_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

struct bytes png_begin(void)
{
	struct bytes file = {0};

	bytes_add(&file, "\x89PNG\r\n\x1a\n", 8);
	return file;
}

void png_add(struct bytes *file, const char *type, const void *data, size_t size)
{
	uint8_t number[4];
	size_t start = file->size + 4;

	put_be32(number, (uint32_t)size);
	bytes_add(file, number, 4);
	bytes_add(file, type, 4);
	bytes_add(file, data, size);
	put_be32(number, (uint32_t)crc32(0, file->data + start, (uInt)(size + 4)));
	bytes_add(file, number, 4);
}

void png_add_header(
	struct bytes *file, uint32_t width, uint32_t height, uint8_t depth, uint8_t type)
{
	uint8_t header[13] = {0};

	put_be32(header, width);
	put_be32(header + 4, height);
	header[8] = depth;
	header[9] = type;
	png_add(file, "IHDR", header, sizeof header);
}

struct bytes zlib_run(size_t size, uint8_t value)
{
	enum {
		BLOCK = 1 << 16
	};
	static uint8_t in[BLOCK], out[BLOCK];
	struct bytes stream = {0};
	z_stream z = {0};
	int status;

	memset(in, value, sizeof in);
	if (deflateInit(&z, 9) != Z_OK)
		abort();
	do {
		if (!z.avail_in) {
			z.next_in = in;
			z.avail_in = size < BLOCK ? (uInt)size : BLOCK;
			size -= z.avail_in;
		}
		z.next_out = out;
		z.avail_out = BLOCK;
		status = deflate(&z, size ? Z_NO_FLUSH : Z_FINISH);
		bytes_add(&stream, out, BLOCK - z.avail_out);
	} while (status == Z_OK);
	deflateEnd(&z);
	return stream;
}
