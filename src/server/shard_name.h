/*
 * Names that lead into tar shards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether name[0..length) ends in ".tar", in any case. */
bool shard_name_ends(const char *name, size_t length);

/*
 * Where a name may lead into a shard: the length of the first part of it that is longer than `from`
 * and ends in ".tar" before a '/'; 0 if there is none.
 */
size_t shard_name_part(const char *name, size_t from);

/* Whether a part of the name before a '/' is called as compressed tar files are. */
bool shard_name_compressed(const char *name);
