/*
 * The marker segments of a JPEG, as far as they can be found without decoding it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Where the last marker begins that begins before data + before; 0 if no scan begins before that
 * one. Restart markers are part of their scan.
 */
size_t jpeg_last_marker(const uint8_t *data, size_t size, size_t before);
