/*
 * Jobs: images that are to be decoded, in line for a decoder or with one. All with the store's lock
 * held.
 */
#pragma once

#include "server/internal.h"

/* The job of decoding a file into the store, for the first time or `again`; takes file->fd over.
 * NULL when out of memory. */
struct job *job_new(struct server *server, const char *name, struct stored *again,
	const struct image_key *key, struct resolved *file, const struct watch_token *token);

/* Gives the job to the idle decoder that suits it best, or puts it in line. */
void job_submit(struct server *server, struct job *job);

/* Gives the next job in line to a decoder that is idle, if there is one. Jobs that nobody waits for
 * any more are dropped. */
void job_next(struct server *server, unsigned decoder);

/* Puts the job of a decoder that died back to the front of the line, once, if the decoder was not
 * told of it yet. False, with nothing done, if it was. */
bool job_put_back(struct server *server, unsigned decoder);

/* Drops the job of an image that nobody waits for any more, if it is in line. */
void job_unwanted(struct server *server, struct stored *image);

/* Takes all jobs out of the line, one with each call; NULL when there is none. */
struct job *job_take_first(struct server *server);

/* Closes its file, too. */
void job_free(struct job *job);

/* The decoder is free for the next job, which it gets. */
void decoder_set_idle(struct server *server, unsigned decoder);

/* The state of a decoder, with all that follows from it. */
void decoder_set_state(struct server *server, unsigned decoder, enum decoder_state state);

/* Sees to it that the completion thread looks at the decoders' deadlines at that moment. */
void decoder_set_timer(struct server *server, uint64_t deadline);
