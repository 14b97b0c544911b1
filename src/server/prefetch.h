/*
 * Decoding ahead. Each seat has a list of images that are to be decoded in its order, behind all that
 * somebody waits for: WIRE_PREFETCH_MAX at most, those included whose failure was not told yet. The
 * list ends with its client.
 *
 * An image of a list is done when it is stored. Unless somebody used it since it was listed, it is in the
 * window until that happens (window.h), and nothing is begun while that is full.
 *
 * prefetch_answer.h takes the requests, prefetch_fill.h begins what is listed. All with the store's lock held.
 */
#pragma once

#include "server/prefetch_list.h"

/* Whether images may be decoded ahead now, if there are any that wait for that. Sees to it that the
 * completion thread looks again. */
bool prefetch_possible(struct server *server);

/* The next one that is to be begun, which it is from now on; NULL if there is none now. */
struct prefetch *prefetch_take(struct server *server);

/* Its file is on a mount that hung, and is there. False if others have been begun meanwhile: then it is listed
 * again. */
bool prefetch_resume(struct server *server, struct prefetch *prefetch);

/* It is done; it failed. */
void prefetch_done(struct server *server, struct prefetch *prefetch);
void prefetch_fail(struct server *server, struct prefetch *prefetch, const struct error *failure);

/* An image is decoded, or `failure` says why not; `used`: for somebody who waited for it. */
void prefetch_settled(
	struct server *server, struct stored *image, bool used, const struct error *failure);

/* An image could not be decoded, for want of room. Whether that is tried again, because nobody waits for
 * it and there will be room once others are used: then it is listed again. */
bool prefetch_when_room(struct server *server, struct stored *image);

/* It could not be, because its file changed meanwhile. Whether that is tried again, as it is once. */
bool prefetch_once_more(struct server *server, struct stored *image);

/* Drops the lists of clients that are gone. Main thread. */
void prefetch_upkeep(struct server *server);
