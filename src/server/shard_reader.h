/*
 * Makes the index of a tar shard from its headers; the data between them are not read. In a helper
 * process.
 */
#pragma once

#include "base/error.h"
#include "server/shard_index.h"

#include <stdint.h>

/* An index in pieces, in heap memory. */
struct shard_content {
	struct shard_header header;
	struct shard_entry *entries;
	uint32_t *images;
	char *names;
};

/*
 * Reads the shard, of `size` bytes, from an open file. What is wrong with it is no failure but said
 * in header.fault: what lies before that is in the index. A failure is a file that cannot be read,
 * or no memory.
 */
int shard_read(int fd, uint64_t size, struct shard_content *ret, struct error *err);
void shard_content_release(struct shard_content *content);

/* Writes the index to a file; 0, or -1 with errno. */
int shard_content_write(const struct shard_content *content, int fd);
