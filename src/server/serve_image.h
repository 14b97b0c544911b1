/*
 * A request for an image: answered at once if the store has it, else its file is opened, by the
 * server itself where that cannot block, else by a helper, and decoded.
 */
#pragma once

#include "server/internal.h"

/* Makes the name of a request what it is inside a server of one shard (within.h); false if it is too long
 * then, which is answered. */
bool serve_enter(struct server *server, struct request *request);

/* Request thread. */
void serve_image(struct server *server, struct request *request);

/* The file of that image changed while it was decoded: each request that waits for it gets the file that
 * there is now, unless it was asked for once more before. With the store's lock held. */
void serve_once_more(struct server *server, struct stored *image);

/* What is known of a name and needs no look at the file; NULL if it does. Request thread, with the
 * store's lock held. */
struct stored *serve_known(struct server *server, const char *name, uint32_t kind,
	const struct image_options *options);

/*
 * What the store has, or will have, of a file that is watched, by that name, too, from now on. If that has to
 * be decoded, *ret_job is the job, which is to be submitted; else NULL. NULL if the file is not open (fd -1)
 * and has to be, else when out of memory. With the store's lock held.
 */
struct stored *serve_find(struct server *server, const char *name,
	const struct image_options *options, uint32_t kind, struct resolved *file,
	const struct watch_token *token, struct job **ret_job);
