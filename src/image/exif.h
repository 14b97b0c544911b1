/*
 * The one thing we want of EXIF.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The orientation that the TIFF structure in data[0..size) gives, 1 to 8; 0 if it gives none or is
 * broken. */
unsigned exif_orientation(const uint8_t *data, size_t size);
