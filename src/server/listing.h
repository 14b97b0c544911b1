/*
 * The names of the image files below the served folder.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

/*
 * All names of image files (.png, .jpg, .jpeg) beneath the folder, sorted by bytes, each ended by a
 * NUL. *ret is heap memory of *ret_size bytes. Folders that cannot be read are left out, and what is
 * not beneath `folder` never is in the list, whatever is renamed meanwhile.
 */
int listing_read(int folder, char **ret, size_t *ret_size, struct error *err);
