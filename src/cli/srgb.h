/*
 * Colours converted to sRGB by the image's own profile.
 */
#pragma once

#include "base/error.h"
#include "image/encode.h"

/*
 * Makes *image an image in sRGB, without a profile; its pixels are then *ret_pixels, heap memory.
 * An image without a profile is left as it is, and *ret_pixels NULL. STATUS_BAD_DATA if the profile
 * does not fit, STATUS_UNAVAILABLE without lcms2.
 */
int srgb_convert(struct encode_image *image, void **ret_pixels, struct error *err);
