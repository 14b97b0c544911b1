/*
 * The store: which images lie where in the data segments, under which names they were asked for,
 * and what has to go when space is needed. Private memory of the server; nothing here is believed
 * from anybody else but the hold words, and those only keep images, never free them.
 *
 * All functions are called with the store's lock held (store_lock) unless they say otherwise.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/hash_table.h"
#include "exchange/head.h"
#include "image/image.h"
#include "server/files.h"
#include "server/index_writer.h"
#include "server/link.h"
#include "server/watch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define DEATHS_MAX 2

enum stored_state {
	STORED_DECODING,
	STORED_READY,
	STORED_FAILED,
};

/* What makes two requests want the same thing. No padding: compared and hashed as bytes. */
struct image_key {
	struct file_key file;
	uint64_t offset, size; /* of the image in the file */
	struct image_options options;
	uint32_t kind;     /* LINK_DECODE: pixels; LINK_PROBE: only what is known of it */
	uint32_t reserved; /* 0 */
};

static inline struct image_key image_key_of(
	const struct resolved *file, const struct image_options *options, uint32_t kind)
{
	return (struct image_key){.file = file->key,
		.offset = file->offset,
		.size = file->size,
		.options = *options,
		.kind = kind};
}

struct job;
struct prefetch;
struct request;

/* Of an image that was decoded ahead (window.h). */
struct prefetched {
	bool unused;    /* nobody has fetched it since */
	unsigned seat;  /* that wanted it, */
	uint64_t order; /* after those with lower numbers */
};

/* An image, or the memory of a failure or of a header. */
struct stored {
	struct image_key key;
	enum stored_state state;
	bool findable; /* in the table; what is not only waits for its holders to let go */
	bool stays;    /* it was held when room was last looked for */
	bool unnamed;  /* no name leads to it any more */
	bool recent;   /* its file was changed shortly before it was opened: the key alone proves
			  nothing */
	struct watch_token token; /* made before its file was opened */
	struct watched_file *file;
	uint64_t closes;  /* watch_closes(file) before it was decoded */
	uint64_t number;  /* what hold words say; never 0, never used again */
	uint64_t used_at; /* by the store's clock of uses */
	unsigned segment;
	struct extent *extent;  /* NULL without pixels */
	struct decoded decoded; /* READY */
	struct error failure;   /* FAILED */
	struct prefetched prefetched;
	unsigned deaths;         /* decoders that it killed; at DEATHS_MAX it gets no other */
	uint64_t decoded_at;     /* clock.h */
	struct request *waiters; /* DECODING: who gets it */
	struct prefetch *wanted; /* DECODING: who wants it to be decoded ahead */
	struct job *job;         /* DECODING */
	struct alias *aliases;
	struct hash_table_link by_key; /* findable */
	struct stored *older, *newer;  /* by last use, in its list */
	struct stored *next_leaving;   /* of those that are to be evicted together */
};

/* A name, with options, by which an image was asked for. */
struct alias {
	struct stored *image;
	struct alias *next; /* of the same image */
	struct hash_table_link by_name;
	struct watch_token token;
	struct dependent dependent; /* on the name, and the image's file */
	bool indexed;               /* it is in the index */
	uint64_t checked_at;        /* when it was last compared with the file system */
	uint32_t kind;
	struct image_options options;
	char *path; /* behind the name, in the same block: what the name was resolved to */
	char name[];
};

struct stored_list {
	struct stored *oldest, *newest;
	size_t count;
};

/* What a seat wanted to be decoded ahead and is not used yet. */
struct unused {
	size_t count;
	uint64_t passed; /* the highest order of those that were used */
};

/* See window.h. */
struct window {
	struct stored_list images; /* decoded ahead and not used yet, in the order of the lists */
	uint64_t bytes;            /* of them */
	uint64_t used;             /* images that left it because they were used */
	uint64_t others_used;      /* while it was full, since one of it was used: uses of others */
	struct unused *seats;
};

struct store {
	pthread_mutex_t lock;
	struct head *head;    /* for the hold words */
	struct segment *data; /* the segments' descriptors */
	struct watch *watch;  /* of the files; NULL: none is watched */
	struct index_writer index;
	struct arena *arenas;
	unsigned segments;
	uint64_t budget; /* bytes that all segments together may have */
	uint64_t next_number;
	uint64_t uses;            /* the clock that says what was used when */
	struct hash_table images; /* those that are findable, by key */
	struct hash_table names;
	struct stored_list ready;   /* with pixels */
	struct stored_list unnamed; /* with pixels, but no name leads to them any more */
	struct window window;
	struct stored_list negative; /* failures and headers */
	uint64_t evictions;
	uint64_t refusals;        /* times that not enough could make way */
	unsigned *truncations;    /* how often each segment was found truncated */
	unsigned all_truncations; /* the sum and one, which is also in HEAD */
	bool *damaged;            /* each segment: found truncated, and to be mended */
	uint64_t *changing;       /* each segment: bytes that may exist or not at this moment */
};

/* `budget` is what each segment may grow to at most, and all of them together. Needs no lock. */
int store_init(struct store *store, struct head *head, struct segment *data, unsigned segments,
	uint64_t budget, struct error *err);
void store_release(struct store *store);

static inline void store_lock(struct store *store)
{
	pthread_mutex_lock(&store->lock);
}

static inline void store_unlock(struct store *store)
{
	pthread_mutex_unlock(&store->lock);
}

/* The image last given under that name with these options; NULL if there is none. */
struct alias *store_alias(const struct store *store, const char *name, uint32_t kind,
	const struct image_options *options);

/* The image with that key; NULL if there is none. */
struct stored *store_find(const struct store *store, const struct image_key *key);

/* A new image in state DECODING, findable. NULL when out of memory. */
struct stored *store_add(struct store *store, const struct image_key *key);

/* Makes `name` lead to the image; out of memory it does not, and the result is NULL. */
struct alias *store_name(struct store *store, struct stored *image, const char *name,
	const char *path, const struct watch_token *token, uint64_t now);

/* Has that file watched for as long as the image is stored. NULL changes nothing: the image may be
 * known by another name, which relies on it. */
void store_watch(struct store *store, struct stored *image, struct watched_file *file);

/* Takes the image out of the tables: nobody new gets it. It goes when nobody holds it. */
void store_forget(struct store *store, struct stored *image);

/* Drops what nobody waits for, holds or finds, with the room it has. */
void store_discard(struct store *store, struct stored *image);

/* It is now the most recently used. */
void store_touch(struct store *store, struct stored *image);

/*
 * Room for `bytes` in a segment, existing and ready to be written; images that nobody holds make
 * way: first those that no name leads to any more, then, of all neighbours that would do, those that
 * have not been used for longest; then images of the window, unless the room is for one that is
 * decoded `ahead`. STATUS_TRY_AGAIN, saying what is needed, held and allowed;
 * STATUS_BAD_DATA for more than can ever be. For one thread at a time, as store_mend and
 * store_punch_holes: each lets go of the lock while the system works.
 */
int store_make_room(struct store *store, unsigned segment, uint64_t bytes, bool ahead,
	struct extent **ret, struct error *err);

/* The same where no system call is needed for it, which is nearly always once the budget is spent;
 * NULL if one is. Then store_make_room. */
struct extent *store_claim_backed(
	struct store *store, unsigned segment, uint64_t bytes, bool ahead);

/* Warm room that is there for the taking, at most `most` bytes; NULL if there is none. */
struct extent *store_spare_room(struct store *store, unsigned segment, uint64_t most);

/* Gives room back. */
void store_give_room(struct store *store, unsigned segment, struct extent *extent);

/* The decode is over: the image has its pixels in `extent` (trimmed to fit), or none for
 * LINK_PROBE. */
void store_ready(struct store *store, struct stored *image, unsigned segment, struct extent *extent,
	const struct decoded *decoded, uint64_t now);

/* The decode failed; `killed`: the image was the end of its decoder. */
void store_failed(struct stored *image, const struct error *failure, bool killed);

/* Whether a failure is to be tried once more: its decoder died, which may have been an accident. */
static inline bool store_may_retry(const struct stored *image)
{
	return image->state == STORED_FAILED && image->deaths && image->deaths < DEATHS_MAX;
}

/*
 * Once all requests that waited for the image are answered: discards it if it is not worth keeping.
 * Failures that are the file's own are kept, so that they are not found again and again; what may
 * succeed another time is not.
 */
void store_settled(struct store *store, struct stored *image);

/* How many have pixels. */
static inline size_t store_images(const struct store *store)
{
	return store->ready.count + store->unnamed.count + store->window.images.count;
}

/* How many seats hold the image; one whose holder has just died may be among them. */
unsigned store_holders(const struct store *store, const struct stored *image);

/* Tells in HEAD how much the store has. */
void store_tell_sums(const struct store *store);

/* Bytes of all segments. */
static inline void store_sums(const struct store *store, uint64_t *ret_backed, uint64_t *ret_used)
{
	*ret_backed = *ret_used = 0;
	for (unsigned i = 0; i < store->segments; i++) {
		*ret_backed += store->arenas[i].backed;
		*ret_used += store->arenas[i].used;
	}
}

/* Checks that a segment is whole, or all are; images in one that somebody cut are forgotten. How many
 * were. */
size_t store_check_segment(struct store *store, unsigned segment);
size_t store_check_segments(struct store *store);

/* Makes damaged segments exist as before. */
void store_mend(struct store *store);

/* Whether much of a segment exists where the server had nothing put: its decoder did that. */
bool store_has_excess(const struct store *store, unsigned segment);

/* Gives that back. Once the decoder has ended. */
void store_punch_holes(struct store *store, unsigned segment);
