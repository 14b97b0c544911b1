/*
 * What the makers of nasty files share: the visitor, and bytes that grow.
 */
#pragma once

#include "nasty/nasty.h"
#include "unit/image/image_samples.h"

struct nasty {
	nasty_visitor *visit;
	void *context;
	size_t count;
};

enum verdict {
	EITHER,  /* an error or some pixels */
	REFUSED, /* an error */
	WHOLE,   /* pixels */
};

/* Shows one file; the name is made as by printf. */
void nasty_show(struct nasty *nasty, const struct bytes *file, enum verdict verdict,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Bytes; out of memory ends the program. */
void bytes_add(struct bytes *bytes, const void *data, size_t size);
void bytes_repeat(struct bytes *bytes, const void *data, size_t size, size_t times);
struct bytes bytes_copy(const struct bytes *bytes, size_t size);
void bytes_free(struct bytes *bytes);
/* bytes[at..at+old) becomes data[0..size). */
void bytes_replace(struct bytes *bytes, size_t at, size_t old, const void *data, size_t size);
void put_be32(uint8_t *bytes, uint32_t value);
uint32_t get_be32(const uint8_t *bytes);

/* Numbers that look random and are always the same. */
uint32_t nasty_random(uint32_t *state);

/* PNG: the signature, and chunks with their CRC. */
struct bytes png_begin(void);
void png_add(struct bytes *file, const char *type, const void *data, size_t size);
void png_add_header(
	struct bytes *file, uint32_t width, uint32_t height, uint8_t depth, uint8_t type);
/* A zlib stream of `size` bytes of `value`. */
struct bytes zlib_run(size_t size, uint8_t value);

/* The makers, a file each. */
void nasty_mutations(struct nasty *nasty);
void nasty_png(struct nasty *nasty);
void nasty_jpeg(struct nasty *nasty);
