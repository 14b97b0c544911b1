/*
 * Images in the terminal: as pixels where it can show them (kitty, sixel), as characters otherwise.
 */
#pragma once

#include "base/error.h"
#include "image/encode.h"

#include <stdbool.h>

/* Whether this was built with it. */
bool preview_possible(void);

/* Shows an image on standard output. STATUS_UNAVAILABLE without libchafa. */
int preview_show(const struct encode_image *image, struct error *err);
