/*
 * Makes the index of a tar shard from its headers; the data between them are not read. In a helper
 * process.
 */
#pragma once

#include "base/error.h"
#include "server/shard_content.h"

/*
 * Reads the shard, of `size` bytes, from an open file. What is wrong with it is no failure but said
 * in header.fault: what lies before that is in the index. A failure is a file that cannot be read,
 * or no memory. Then shard_content_release.
 */
int shard_read(int fd, uint64_t size, struct shard_content *ret, struct error *err);
