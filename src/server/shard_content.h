/*
 * The index of a shard (shard_index.h) as it is made: in pieces, in heap memory.
 */
#pragma once

#include "server/shard_index.h"

struct shard_content {
	struct shard_header header;
	struct shard_entry *entries;
	uint32_t *images;
	char *names;
	uint64_t entries_room, names_room;
	bool unsorted;
};

/* Takes up a member: all but its name is as in `like`. 0, ENOMEM, or EFBIG: the index would be too large. */
int shard_content_add(struct shard_content *content, const struct shard_entry *like,
	const char *name, size_t length);

/* Puts the members in order, once all are there. False when out of memory. */
bool shard_content_finish(struct shard_content *content);

void shard_content_release(struct shard_content *content);

/* Writes the index to a file; 0, or -1 with errno. */
int shard_content_write(const struct shard_content *content, int fd);
