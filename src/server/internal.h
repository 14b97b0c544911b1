/*
 * What the files of the server share: its state, and a request that is being worked on.
 *
 * Threads: the request thread (request_loop.c), the completion thread (completion_loop.c), the
 * supply thread (supply.c), and the main thread, which starts and stops the server, preloads images,
 * and calls server_upkeep.
 *
 * There is one lock, the store's. Under it are the store, the watches, the line of jobs, the states
 * of decoders and of requests that wait, and the list of names. No other is taken while it is held
 * but that of the mount table, which is held for a look at it only.
 * What has no lock belongs to one thread, which is said beside it.
 */
#pragma once

#include "exchange/serving.h"
#include "server/change_flag.h"
#include "server/listed.h"
#include "server/preload.h"
#include "server/server.h"
#include "server/store.h"
#include "server/watch.h"
#include "server/within.h"

#include <pthread.h>
#include <stdatomic.h>

struct shards;

enum request_state {
	REQUEST_NONE,        /* nobody waits: the request thread may take the seat's next request */
	REQUEST_WAITS_FILE,  /* a task of `blocking` is its own */
	REQUEST_WAITS_IMAGE, /* in the list of `image` */
	REQUEST_WAITS_NAMES, /* in a list of `names` */
	REQUEST_WAITS_PREFETCH, /* for room in its seat's list, or for news of that (prefetch.h) */
};

/*
 * A seat's request, copied to private memory. Written by the request thread in REQUEST_NONE; in
 * another state it belongs to the store's lock.
 */
struct request {
	_Atomic enum request_state state;
	struct seat_request received;
	struct image_options options;
	struct stored *image;
	bool again;           /* its file changed while it was read, and was asked for once more */
	struct request *next; /* in the same list */
};

/* An image to be decoded, or a header to be read: in line, or with a decoder. */
struct job {
	struct stored *image;
	int file;
	struct file_key key;
	uint64_t expected; /* bytes that it took when it was last decoded under that name; 0:
			      unknown */
	bool preload;      /* wanted though nobody waits for it */
	bool ahead;        /* nobody waits for it; it is behind all that somebody does */
	bool put_back;     /* in line for the second time */
	bool no_room;      /* it failed for want of room */
	bool changed;      /* it failed because its file changed meanwhile */
	bool in_line;
	uint64_t order; /* `ahead` */
	bool early;     /* in line, and files that come before it are being opened */
	bool copied; /* `file` is a copy of the image's file, which need not be looked at again */
	char path[1032];
	struct job *next;
};

struct job_line {
	struct job *first, **last;
};

/* What the server knows of a decoder beside its process. */
struct decoder_work {
	struct job *job;            /* that it is at; NULL for none */
	struct extent *extent;      /* that it may write for that; NULL for none */
	unsigned truncations;       /* of its segment when it was given the job */
	uint64_t needed;            /* DECODER_NEEDS_ROOM: bytes */
	bool sent;                  /* it was told of the job */
	bool killed;                /* DECODER_ENDING: by us */
	enum reply_outcome outcome; /* DECODER_ENDING: why */
	struct link_reply reply;    /* and what it said last */

	/* Of pool_upkeep: what an idle decoder had used of the processor when it was last looked at,
	 * and when there was last nothing to be said against it; how often in a row there was. */
	uint64_t cpu, clean, number;
	unsigned suspicions;
};

/* The list of names, and the requests that wait for one. Under the store's lock. */
struct names_work {
	struct request *waiting; /* for a list that has not been begun */
	struct request *current; /* for the one that is being made */
	bool making;
	unsigned parts;       /* of that: mounts whose names are not there yet */
	struct listed made;   /* what there is of it */
	size_t next_shard;    /* of that: whose index is looked up next */
	size_t taken;         /* whose index is there, or will not be */
	uint64_t deadline;    /* of those on other mounts than the folder's */
	uint64_t again_until; /* shards are asked for more than once more; 0: none was */
	struct error failure;
	struct error lacking;   /* what it lacks; or STATUS_OK */
	struct error told;      /* that it lacks, or no text */
	uint64_t told_until;    /* nothing else is told before that */
	uint64_t lists;         /* that were made, or failed */
	pthread_cond_t changed; /* `lists` */
	struct listed done;     /* that is being handed out page by page */
	bool any_done;
	size_t indexes_max; /* that one list holds: LISTED_INDEXES_MAX */
};

/* See notice.h. Under the store's lock. */
struct notices {
	struct error kept[NOTICES_MAX];
	unsigned count, taken;
	uint64_t more;        /* that were not kept */
	uint64_t minute_ends; /* which began with the first one */
};

/* See prefetch.h. Under the store's lock. */
struct prefetches {
	struct prefetch_list *lists;       /* of each seat */
	uint64_t order;                    /* of the last that was listed */
	size_t listed, begun;              /* of all seats */
	unsigned last;                     /* seat of which one was begun last */
	bool refused;                      /* there was no room for the last one */
	uint64_t refused_at, refused_used; /* when, and store.window.used then */
};

/* See supply.h. Under the store's lock. */
struct supply {
	pthread_t thread;
	bool started, ending;
	bool fails;           /* no decoder could be started */
	struct error failure; /* why, if so */
	pthread_cond_t wanted;
};

/* See renew.h. In turns of upkeep. */
struct renewal {
	unsigned shut,
		open;  /* for so many in a row nothing, or something, was found in the index */
	unsigned wait; /* after an index that could not be armed; 0 before the first one */
	unsigned left; /* of it */
};

struct server {
	struct server_options options;
	int folder;                    /* the served one */
	struct within within;          /* of it, if that is not all */
	unsigned missing;              /* enum sandbox_missing */
	bool store_ready;              /* store was made */
	struct server_objects objects; /* data is not mapped here: the server touches no pixel */
	struct wire_server constants;  /* of HEAD, as it was made */
	/* Main thread: turns of upkeep; whether somebody waited for a seat in the last one; the object
	 * that is next looked at; calls in which all are to be looked at soon; the folder of their
	 * names and when it last changed, ns since 1970. */
	unsigned turns;
	bool queued;
	unsigned next_check, checks_due;
	struct file_id names_folder;
	uint64_t names_changed;
	struct renewal renewal; /* main thread */
	struct store store;
	struct watch *watch;
	struct mount_table *mounts;
	struct blocking *blocking; /* helpers; NULL only where there are none */
	struct shards *shards;     /* under the store's lock */
	struct request *requests;  /* one for each seat */

	/* Request thread */
	pthread_t request_thread;
	bool request_started;
	struct serving serving;
	struct change_flag
		*watch_flag; /* of the queue of `watch`; NULL if it has to ask the kernel */
	struct change_flag *mounts_flag;  /* of the table of mounts; NULL unless flags_shared */
	bool flags_shared;                /* requesters see both, in pages of INDEX */
	int mounts_file;                  /* that table */
	struct thread_word *request_word; /* by which requesters see that the thread lives */

	/* Decoders, and jobs that wait for one. */
	struct decoder *decoders;
	struct decoder_work *work;  /* of each */
	bool *decoder_busy;         /* of each: not DECODER_IDLE */
	_Atomic unsigned decoding;  /* decoders at work */
	struct job_line line;       /* somebody waits for them */
	struct job_line ahead_line; /* nobody does; in the order of their numbers */

	/* Completion thread */
	pthread_t completion_thread;
	bool completion_started;
	int epoll;         /* its sources: see completion_loop.h */
	int timer;         /* the next deadline of a decoder */
	uint64_t timer_at; /* DEADLINE_NEVER: it does not run */
	int wake;          /* eventfd: the server is stopping */

	struct supply supply;
	struct names_work names;
	struct notices notices;
	struct prefetches prefetches;
	struct preload *preload; /* NULL: nothing is decoded at start */
	atomic_bool stopping;    /* no new work */
	atomic_bool abandon;     /* no more time for the work under way */
	_Atomic uint64_t answers;
};

/* What decoders have to do without here: a set of enum sandbox_missing. Never silently weaker:
 * STATUS_INTERNAL if that includes seccomp and the options do not allow it. */
int server_check_sandbox(
	const struct server_options *options, unsigned *ret_missing, struct error *err);

/* The supply thread may have something to do. With the store's lock held. */
static inline void server_wake_supply(struct server *server)
{
	pthread_cond_signal(&server->supply.wanted);
}

/* One more of a counter on the statistics page. */
static inline void server_count(struct server *server, enum wire_counter counter, uint64_t amount)
{
	atomic_fetch_add_explicit(&head_server(&server->objects.head)->counters[counter], amount,
		memory_order_relaxed);
}
