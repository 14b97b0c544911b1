/*
 * The ICC profile of a JPEG, which comes in up to 255 markers, numbered from 1, in any order.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct profile_pieces {
	const uint8_t *data[256]; /* in the file */
	uint16_t size[256];
	unsigned count; /* as the markers say; 0 for no profile */
	bool broken;
};

/* Takes note of an APP2 marker, if it is a piece of a profile. */
void profile_pieces_add(struct profile_pieces *pieces, const uint8_t *data, size_t size);

/* Puts the pieces together; the caller frees *ret. If there are none, or one is missing (which sets
 * `broken`), *ret is NULL. */
int profile_pieces_join(
	struct profile_pieces *pieces, uint8_t **ret, size_t *ret_size, struct error *err);

/* An ICC profile begins with a header of this size. */
#define PROFILE_HEADER_SIZE 128

/* Whether it describes colours of that space: "RGB ", "GRAY" or "CMYK". */
bool profile_is_for(const void *profile, size_t size, const char *space);
