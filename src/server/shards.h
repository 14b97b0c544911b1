/*
 * The indexes of tar shards (shard_index.h) that the server keeps, by the shards' names, each for as
 * long as the shard stays the same file. Beyond SHARD_INDEX_MAX bytes, or SHARDS_MAX of them, those
 * go that were not used for longest.
 *
 * All with the store's lock held.
 */
#pragma once

#include "base/error.h"
#include "server/files.h"
#include "server/shard_index.h"

#include <stdbool.h>
#include <stddef.h>

#define SHARDS_MAX 4096

struct shards;
struct watch;

/* NULL when out of memory. `watch` watches the shards; NULL: none is watched. */
struct shards *shards_new(struct watch *watch);
struct shards *shards_free(struct shards *shards);

/* A moment, which shards_put compares: to be taken before a helper is told to make an index. */
uint64_t shards_now(const struct shards *shards);

/*
 * Keeps the index that a helper made, from that moment on, of the shard of that file, in the place of an
 * older one; unless it may have begun before a change that is known by now. False, with errno, if the
 * index makes no sense, or there is no memory. The descriptor stays the caller's. *ret_damage, unless its status is
 * STATUS_OK, says what is wrong with the shard: once for each version of it.
 */
bool shards_put(struct shards *shards, const struct resolved *file, uint64_t since, int fd,
	struct error *ret_damage);

/*
 * Looks up where the member is that file->path names, which is in a shard: sets its offset and size,
 * and the extension that was found. False if the shard's index is not there, and a helper has to make
 * it. It counts for as long as the file has the same key, and is watched (file->watched) as it was then,
 * and nothing was seen to happen to it. `asked` says that one was made after it was asked for: then it will do whatever changes meanwhile
 * might not show.
 */
bool shards_find(struct shards *shards, struct resolved *file, bool asked, int *ret_status,
	struct error *err);

/* The index of the file's shard, as shards_find left it, until there is another; NULL if there is none. */
struct shard_index *shards_index(struct shards *shards, const struct resolved *file);

/*
 * Says that a list of names has taken what it needs of the shard of that name. What only a list needs
 * (file->listed) pushes nothing out and counts as used longest ago: it is beyond the limits until then, and
 * is kept if there is room.
 */
void shards_taken(struct shards *shards, const char *name, size_t length);

/* As shards_find for a shard that is not open: sets file->key, too, if there is an index by that name. No
 * use of it. */
bool shards_guess(struct shards *shards, const char *name, bool asked, struct resolved *ret);
