/*
 * From what a codec makes of an image to what is delivered of it: all of it, a part, or a part in
 * another size.
 */
#pragma once

#include "image/reader.h"

/* Whether the memory limit allows it, for the image that was probed. */
int deliver_check(const struct image_reader *reader, struct error *err);

/* Decodes what was probed, and delivers it to `pixels`. */
int deliver(struct image_reader *reader, void *pixels, struct error *err);
