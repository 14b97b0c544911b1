/*
 * What the files of the server share: its state, and a request that is being worked on.
 */
#pragma once

#include "exchange/request.h"
#include "exchange/server_objects.h"
#include "exchange/wait.h"
#include "server/change_flag.h"
#include "server/preload.h"
#include "server/server.h"
#include "server/store.h"
#include "server/watch.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * A seat's request, copied to private memory. Written by the leader; while it waits for an image it
 * is on that image's list, and belongs to the store's lock.
 */
struct request {
	struct seat_request asked;
	struct error refused; /* what request_check found */
	struct image_options options;
	atomic_bool busy;   /* another worker than the leader is at it */
	uint64_t postponed; /* sequence number of one that waits for another list to be done */
	struct stored *_Atomic image; /* that it waits for */
	struct request *next;         /* who waits for the same */
};

/* An image to be decoded, or a header to be read. */
struct job {
	struct stored *image;
	int file;
	struct file_key key;
	uint64_t expected; /* bytes that it took when it was last decoded under that name; 0:
			      unknown */
	char path[1032];
	struct job *next;
};

/* A thread that takes requests. */
struct worker {
	struct server *server;
	pthread_t thread;
	struct readiness *readiness; /* of the queue of `watch`; NULL if it has to ask the kernel */
};

struct server {
	struct server_options options;
	int folder;                    /* the served one */
	unsigned missing;              /* enum sandbox_missing */
	bool store_ready;              /* store was made */
	struct server_objects objects; /* data is not mapped here: the server touches no pixel */
	struct wire_server constants;  /* of HEAD, as it was made */
	unsigned next_check;           /* object that is next looked at */
	struct store store;
	struct watch *watch;      /* under the store's lock */
	struct request *requests; /* one for each seat */
	struct wait wait;

	/* Whoever has it is the leader: the one worker that takes requests. */
	pthread_mutex_t leadership;
	struct worker *leader;
	unsigned last_seat; /* that was served */

	/* Decoders that are free, and jobs that wait for one. */
	pthread_mutex_t pool_lock;
	struct decoder *decoders;
	bool *decoder_busy;
	_Atomic unsigned decoding; /* decoders at work */
	struct job *first_job, **last_job;

	atomic_bool listing; /* a worker has what follows; set by the leader */
	char *names;         /* the list that is being handed out page by page */
	size_t names_size;

	struct worker *workers;
	unsigned workers_count;
	struct preload *preload; /* NULL: nothing is decoded at start */
	atomic_bool stopping;    /* no new work */
	atomic_bool abandon;     /* no more time for the work under way */
	_Atomic uint64_t answers;
};

/* The thread of a worker. */
void *worker_main(void *worker);

/* Takes leadership, or lets it go, which says whose it was. */
void leader_lock(struct worker *worker);
struct worker *leader_unlock(struct server *server);

/* Waits for a request and serves it; without one, for a moment only. With leadership. */
void worker_serve(struct server *server);

/*
 * How decoders are to be that map `reserve` bytes of a segment. A decoder has in memory at a time:
 * a file, what its codec needs, rows on their way, and what resizing needs.
 */
struct decoder_setup server_decoder_setup(const struct server_options *options, uint64_t reserve);

/* What decoders have to do without here: a set of enum sandbox_missing. Never silently weaker:
 * STATUS_INTERNAL if that includes seccomp and the options do not allow it. */
int server_check_sandbox(
	const struct server_options *options, unsigned *ret_missing, struct error *err);

/* One more of a counter on the statistics page. */
static inline void server_count(struct server *server, enum wire_counter counter, uint64_t amount)
{
	atomic_fetch_add_explicit(&head_server(&server->objects.head)->counters[counter], amount,
		memory_order_relaxed);
}

/*
 * The job of decoding a file into the store, for the first time or `again`; takes file->fd over.
 * With the store's lock held. NULL when out of memory.
 */
struct job *decode_job_new(struct server *server, const char *name, struct stored *again,
	const struct image_key *key, struct resolved *file, const struct watch_token *token);

/* Decodes, now or when a decoder is free, and goes on while there are jobs in line. Called by the
 * leader, who lets leadership go meanwhile. */
void decode_job_dispatch(struct server *server, struct job *job);

/* Does the job with the decoder of that data segment and answers all who wait for the image. *err
 * says what was wrong with it. */
int decode_job_run(struct server *server, unsigned segment, struct job *job, struct error *err);

/* Answers every request still open with "the server is stopping", and drops the jobs in line. Once
 * all threads are gone. */
void server_refuse_all(struct server *server);
