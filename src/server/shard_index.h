/*
 * The index of a tar shard: where its members are. A helper makes it from the headers
 * (shard_reader.h) and hands it over as a sealed file in memory, which the server maps and believes
 * only as far as it has checked it:
 *
 *	struct shard_header
 *	struct shard_entry, `count` of them, sorted by name, no name twice
 *	uint32_t, `images` of them: the numbers of those entries that are listed, in order
 *	`names` bytes: the names, each ended by a NUL
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an index may take, and all that a server keeps. */
#define SHARD_INDEX_MAX ((uint64_t)256 << 20)

/* Of a member. What is longer cannot be asked for. */
#define SHARD_NAME_MAX 1023

#define SHARD_MAGIC 0x3178646e69726174 /* "taridx1" */

enum shard_kind {
	SHARD_FILE, /* a plain member */
	SHARD_LINK, /* these are not served */
	SHARD_SPARSE,
	SHARD_SPECIAL,
	SHARD_TWICE, /* there are two of the name */
};

struct shard_entry {
	uint64_t offset, size; /* of its bytes in the shard */
	uint32_t name;         /* where the name begins, from the first one's beginning */
	uint16_t length;       /* of it, without the NUL */
	uint16_t kind;         /* enum shard_kind */
};

struct shard_header {
	uint64_t magic;
	uint64_t count, images, names;
	uint64_t shard;  /* bytes of the shard */
	char fault[192]; /* why it could not be read to its end; "": it could */
};

/* An index as it lies in memory. */
struct shard_index {
	const struct shard_header *header;
	size_t size;
	size_t users; /* of one that was mapped */
};

/* Whether the `size` bytes may be an index: what shard_index_find relies on. */
bool shard_index_check(const struct shard_index *index);

/* Maps an index from a file that nobody can change any more, for one user; NULL, with
 * errno, if there is no memory, or it makes no sense (EBADMSG). */
struct shard_index *shard_index_map(int fd);
struct shard_index *shard_index_hold(struct shard_index *index);
/* One user less: unmapped by the last. NULL is ignored. */
void shard_index_drop(struct shard_index *index);

/* The member of that name; NULL if there is none, or what is there makes no sense. */
const struct shard_entry *shard_index_find(const struct shard_index *index, const char *name);

/*
 * Of the images that are listed: the number of the first whose name comes behind `last`, and the name of
 * each number, NULL from the end on or where it makes no sense.
 */
uint64_t shard_index_image_behind(const struct shard_index *index, const char *last);
const char *shard_index_image(const struct shard_index *index, uint64_t number);

/* The entry of a number below header->count, and its name; NULL if it makes no sense. */
const struct shard_entry *shard_index_at(
	const struct shard_index *index, uint64_t number, const char **ret_name);

/* Whether a member may be served; else the error says why not. `shown` is its whole name. */
int shard_entry_check(const struct shard_entry *entry, const char *shown, struct error *err);
