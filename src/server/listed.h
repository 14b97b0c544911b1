/*
 * A list of names as it is handed out: those of files, sorted, and in their places among them those in
 * tar shards, which are read from the shards' indexes. Each index is a mapping, of which a process has a
 * limited number: beyond so many of them the names are copied.
 */
#pragma once

#include "server/shard_index.h"

/* Stands behind the name of a shard and a '/' for the names of all its images, and comes before them. */
#define LISTED_MEMBERS "\1"

/* Indexes that a list holds. */
#define LISTED_INDEXES_MAX 1024

struct listed_shard {
	size_t at;                 /* where that stands in `text` */
	struct shard_index *index; /* NULL: what is in the list of it was copied */
	bool again;                /* it was asked for once more */
	size_t copy, copied;       /* where that is in `copies`, and its bytes */
};

struct listed {
	char *text; /* each name is ended by a NUL */
	size_t size;
	struct listed_shard *shards; /* in the order of `text` */
	size_t count;
	size_t indexes; /* that are held */
	size_t indexes_max;
	char *copies; /* names of images, as in `text`, without their shards' */
	size_t copies_size, copies_room;
	size_t hidden; /* bytes at the beginning of each name that are not handed out */
};

/* Lets go of all of it. */
void listed_release(struct listed *list);

/*
 * Puts `size` bytes of names in the place of the name `mount`, which ends in '/' and with which all of
 * them begin; "" is the list as a whole. Before listed_find_shards. False when out of memory.
 */
bool listed_insert(struct listed *list, const char *mount, const char *text, size_t size);

/* Makes list->shards, without their indexes. False when out of memory. */
bool listed_find_shards(struct listed *list);

/* Puts the names of the images of one more shard into the list, which has one user of its index more, or a
 * copy of them. False, with nothing done, when out of memory. */
bool listed_add_images(struct listed *list, size_t shard, struct shard_index *index);

/* Fills `page` with those of the names that come behind `last`, a whole name; the bytes used. */
size_t listed_page(const struct listed *list, const char *last, char *page, size_t room);

/* All names, each ended by a NUL, in heap memory; NULL when out of it. */
char *listed_copy(const struct listed *list, size_t *ret_size);
