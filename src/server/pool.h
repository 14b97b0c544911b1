/*
 * The decoder processes of the server: their start, their restart and their end.
 */
#pragma once

#include "server/internal.h"

/* What the completion thread waits for: a source, and which decoder's. */
enum pool_source {
	POOL_WAKE,
	POOL_TIMER,
	POOL_SOCKET,
	POOL_PROCESS,
};

/* Makes what the completion thread waits on, and starts all decoders. Before there are threads. */
int pool_start(struct server *server, struct error *err);

/* Starts a decoder that is DECODER_DEAD and gives it the next job in line. With the store's lock
 * held, which is let go while the process is made. */
int pool_restart(struct server *server, unsigned decoder, struct error *err);

/* Listens no more to what a decoder says. */
void pool_ignore(struct server *server, unsigned decoder);

/* Starts decoders anew that could not be started or died at once. If there is none at all, the jobs
 * in line fail. */
void pool_upkeep(struct server *server);

/* Ends all decoders. Once there are no threads any more. */
void pool_stop(struct server *server);

/*
 * How decoders are to be that map `reserve` bytes of a segment. A decoder has in memory at a time:
 * a file, what its codec needs, rows on their way, and what resizing needs.
 */
struct decoder_setup pool_decoder_setup(const struct server_options *options, uint64_t reserve);
