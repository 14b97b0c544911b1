/*
 * The names of the image files below the served folder.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

/*
 * All names of image files (.png, .jpg, .jpeg) beneath the folder `path` of `folder` ("": itself;
 * else it ends in '/', and may be that of a shard), from `folder` on, sorted by bytes, each ended by a
 * NUL; LISTED_MEMBERS stands for what is in a tar shard. *ret is heap memory of *ret_size bytes. Folders that cannot be read are left out, and what is not beneath `folder`
 * never is in the list, whatever is renamed meanwhile. Other mounts are not entered: the names of
 * *ret_mounts folders, which end in '/', stand where theirs belong.
 */
int listing_read(int folder, const char *path, char **ret, size_t *ret_size, size_t *ret_mounts,
	struct error *err);
