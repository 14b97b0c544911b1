/*
 * Files that a stranger might send: small images cut, flipped and mended, and bombs. Always the
 * same ones, in the same order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nasty_file {
	const char *name; /* unique, fit for a file name, without extension */
	const uint8_t *data;
	size_t size;
	bool refused; /* nobody may make pixels of it under the default limits */
	bool whole;   /* it is fine: pixels are due */
};

typedef void nasty_visitor(const struct nasty_file *file, void *context);

/* Shows every file to `visit`; how many there were. */
size_t nasty_generate(nasty_visitor *visit, void *context);
