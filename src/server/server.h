/*
 * The server: its objects in shared memory, its workers and its decoders.
 */
#pragma once

#include "base/error.h"
#include "image/image.h"
#include "shm/names.h"
#include "shm/segment.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct preload_options;
struct server;

struct server_options {
	struct name_space space;
	const char *directory;
	unsigned decoders, seats;
	uint64_t requests; /* end after so many answers; 0: never */
	uint64_t cache; /* bytes that the data segments may have; 0: 512M, or a quarter of what is
			   free */
	uint64_t fresh_ns; /* answer from the store for so long without a look at the file; 0:
			      always exact */
	uint64_t decode_timeout_ns;
	uint64_t file_bytes; /* of an image file at the most */
	bool isolate;        /* a decoder process for each image */
	bool allow_degraded; /* go on where the kernel has no seccomp */
	struct image_limits limits;
	struct access access;
	const struct preload_options *preload; /* NULL: nothing is decoded at start */
};

/* The defaults of shmsem-serve(1). */
extern const struct server_options server_defaults;

/*
 * Creates every object, starts decoders and workers and takes requests. What a dead server left
 * in the namespace is removed first; a live one there is STATUS_TRY_AGAIN, naming its pid. Signals
 * stay the caller's. Free with server_stop.
 */
int server_start(const struct server_options *options, struct server **ret, struct error *err);

/* What decoders have to do without on this kernel: a set of enum sandbox_missing. */
unsigned server_missing(const struct server *server);

/* Whether the kernel tells it of changed files; if not, each answer looks at its file. */
bool server_has_inotify(const struct server *server);

/* The bytes that the data segments may have, once started. */
uint64_t server_cache(const struct server *server);

/*
 * To be called every server_upkeep_ns() by the thread that started it: notices what was done to
 * the objects from outside. STATUS_OK, or what is to end the server. *ret_done: it has answered as
 * many requests as it was to.
 */
int server_upkeep(struct server *server, bool *ret_done, struct error *err);
uint64_t server_upkeep_ns(const struct server *server);

/* Whether there is no decoder and none can be started, and why; it goes on trying. */
bool server_lacks_decoders(struct server *server, struct error *ret_why);

/* Whether there were too few inotify watches: what got none is looked at for each answer. */
bool server_lacks_watches(struct server *server);

/*
 * Takes the next message for who runs the server, by any thread; false if there is none. There are at most
 * NOTICES_MAX in a minute, and once it is over one that says how many more there would have been; `last`
 * does not wait for that.
 */
#define NOTICES_MAX 10
bool server_take_notice(struct server *server, bool last, struct error *ret);

/* Refuses what has not been answered, ends decoders and threads, unlinks every object. NULL is
 * ignored. */
void server_stop(struct server *server);
