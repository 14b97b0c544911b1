/*
 * Colours converted to sRGB by what the image's file says of them.
 */
#pragma once

#include "base/error.h"
#include "image/encode.h"

/*
 * Makes *image an image in sRGB, without a profile; its pixels are then *ret_pixels, heap memory.
 * Its profile counts, else its sRGB chunk, which leaves it as it is, else its gAMA and cHRM. CMYK
 * becomes RGB. An image without any of these is left as it is, and *ret_pixels NULL. STATUS_BAD_DATA
 * if they describe no colours, STATUS_UNAVAILABLE without lcms2.
 */
int srgb_convert(struct encode_image *image, void **ret_pixels, struct error *err);
