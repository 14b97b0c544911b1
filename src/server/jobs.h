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

void job_lines_init(struct server *server);

/* Gives the job to the idle decoder that suits it best, or puts it in line. */
void job_submit(struct server *server, struct job *job);

/* Puts one in line that nobody waits for, behind those with lower orders. It is `early` until that is
 * cleared. */
void job_submit_ahead(struct server *server, struct job *job, uint64_t order);

/* Gives jobs that nobody waits for to idle decoders, as far as the window has room. */
void job_begin_ahead(struct server *server);

/* Somebody waits for an image that is to be decoded ahead: its job is one as others. */
void job_awaited(struct server *server, struct stored *image);

/* Puts the job of a decoder that died back to the front of the line, once, if the decoder was not
 * told of it yet. False, with nothing done, if it was. */
bool job_put_back(struct server *server, unsigned decoder);

/* Drops the job of an image that nobody wants any more, if it is in line. */
void job_unwanted(struct server *server, struct stored *image);

/* Takes all jobs out of the line, one with each call; NULL when there is none. */
struct job *job_take_first(struct server *server);

/* Closes its file, too. */
void job_free(struct job *job);

/* The decoder is free for the next job, which it gets: one that somebody waits for before one that is to be
 * decoded ahead, for which the window must not be full. Jobs that nobody wants any more are dropped. */
void decoder_set_idle(struct server *server, unsigned decoder);

/* The state of a decoder, with all that follows from it. */
void decoder_set_state(struct server *server, unsigned decoder, enum decoder_state state);

/* Sees to it that the completion thread looks at the decoders' deadlines at that moment. */
void decoder_set_timer(struct server *server, uint64_t deadline);
