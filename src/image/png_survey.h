/*
 * The chunks of a PNG, looked at before libpng unpacks anything.
 */
#pragma once

#include "image/reader.h"

/* Checks dimensions and chunks of a PNG against the limits, and says in info whether it is animated
 * and how many comments it has. What is broken is left for libpng to explain. */
int png_survey(struct image_reader *reader, struct error *err);
