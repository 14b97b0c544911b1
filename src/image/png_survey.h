/*
 * The chunks of a PNG, looked at before libpng unpacks anything.
 */
#pragma once

#include "image/reader.h"

/*
 * Checks dimensions and chunks of a PNG against the limits. Sets in info: whether it is animated,
 * how many comments it has, and the orientation that a text chunk before the pixels gives. A chunk
 * over the limit of bytes is a warning. What is broken is left for libpng to explain.
 */
int png_survey(struct image_reader *reader, struct error *err);
