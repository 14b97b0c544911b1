/*
 * The decoder processes of the server: their start, their restart and their end.
 */
#pragma once

#include "server/internal.h"

/* What the completion thread waits for: a source, and which decoder's or helper's. */
enum pool_source {
	POOL_WAKE,
	POOL_TIMER,
	POOL_SOCKET,
	POOL_PROCESS,
	POOL_HELPER,
};

/* Makes what the completion thread waits on, and starts all decoders. Before there are threads. */
int pool_start(struct server *server, struct error *err);

/* Starts a decoder's process and listens to it. Without the store's lock. */
int pool_start_process(struct server *server, unsigned decoder, struct error *err);

/* Has a decoder that is DECODER_DEAD started; it gets the next job in line. With the store's lock
 * held. */
void pool_restart(struct server *server, unsigned decoder);

bool pool_all_dead(const struct server *server);

/* Listens no more to what a decoder says. */
void pool_ignore(struct server *server, unsigned decoder);

/* As decoder_reap; the event that it has ended does not come again then. */
bool pool_reap(struct server *server, unsigned decoder, siginfo_t *ret);

/* Ends decoders that misbehave, and has those started anew that could not be started or died at
 * once. */
void pool_upkeep(struct server *server);

/* Ends all decoders. Once there are no threads any more. */
void pool_stop(struct server *server);

/*
 * How decoders are to be that map `reserve` bytes of a segment. A decoder has in memory at a time:
 * a file, what its codec needs, rows on their way, and what resizing needs.
 */
struct decoder_setup pool_decoder_setup(const struct server_options *options, uint64_t reserve);
