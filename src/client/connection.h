/*
 * A connection: one seat at one server, and the mappings that images fetched over it point into. It
 * lives as long as its client uses it or one of its images is held.
 */
#pragma once

#include "base/clock.h"
#include "base/equal.h"
#include "base/error.h"
#include "base/process.h"
#include "base/waiting.h"
#include "client/options.h"
#include "exchange/head.h"
#include "exchange/index.h"
#include "exchange/server_user.h"
#include "exchange/wait.h"
#include "shm/guard.h"
#include "shm/names.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* A data segment as the requester sees it: read-only, opened when an answer first names it. */
struct data {
	struct segment segment;
	int guard;
	unsigned truncations; /* how often it was truncated and mapped anew */
};

/* What was asked for last but for the name, which is mostly what is asked for next: as it was given
 * and checked, and as it is looked up. */
struct prepared {
	_Alignas(EQUAL_ALIGNMENT) uint8_t given[OPTIONS_GIVEN];
	struct index_key key;
	uint64_t hash; /* index_hash_options() of the key's */
};

/*
 * Its memory is used again by later connections and never given back, so that an image that was
 * released before is recognised however often it was copied: by the state of its hold, whose number
 * only ever grows.
 */
struct connection {
	struct connection *next_spare;
	_Atomic uint32_t holds[WIRE_HOLDS]; /* 4 x uses so far + enum hold_state (holds.h) */
	/* From here on all is zeroed for the next connection. */
	/* The client's, as CONNECTION_CLIENT, less the images that were given back; those that were
	 * held, which the client's thread counts in `held`, are added when the client leaves it. */
	_Atomic uint64_t references;
	uint64_t held;
	struct name_space space;
	struct head head;
	unsigned seat;
	/* Of our seat, in HEAD: its first page of hold words, which has so many, its row of
	 * counters, and its notes. */
	struct wire_hold_page *hold_page;
	unsigned page_holds;
	struct wire_seat_counters *counters;
	_Atomic uint64_t *notes;
	/* The mark of its hold words is this at least; those below this one are on the first page. */
	unsigned mark, near_holds;
	sem_t *request, *response;
	uint64_t sequence;
	_Atomic unsigned last_freed;      /* one of the holds, which may be free */
	unsigned truncations[WIRE_HOLDS]; /* known when the image was handed over */
	int request_guard, response_guard;
	bool lost;        /* HEAD was made anew under us */
	struct wait wait; /* for answers */
	bool guarded;
	bool seated;       /* `seat` is ours */
	bool prefetches;   /* the server has, or had, a list of ours */
	pid_t owner;       /* the process that made it (base/process.h) */
	struct data *data; /* head.segments of them */
	struct index index;
	uint64_t index_number; /* of the server's INDEX when that was opened, or could not be */
	struct prepared prepared;
	uint64_t last_note; /* of what was found there (lookup.c) */
	uint64_t probe_at;  /* when to ask again whether the server of the index lives (lookup.c) */
};

/* Connects to a running server of an accepted user and takes a seat until `deadline`. Not to the
 * server whose HEAD is `except` (may be NULL), as if it had died. connection_leave when done. */
int connection_open(const struct name_space *space, const struct server_user *accepted,
	bool guarded, uint64_t deadline, struct waiting *waiting, const struct file_id *except,
	struct connection **ret, struct error *err);
__attribute__((cold)) void connection_free(struct connection *connection);

#define CONNECTION_CLIENT (UINT64_C(1) << 63)

/* Another image will be held; for the client's thread. */
static inline struct connection *connection_ref(struct connection *connection)
{
	connection->held++;
	return connection;
}

/* Adds to the references, and frees a connection that has none any more. */
static inline void connection_count(struct connection *connection, uint64_t amount)
{
	uint64_t count;

	if (process_single()) {
		count = atomic_load_explicit(&connection->references, memory_order_relaxed) +
			amount;
		atomic_store_explicit(&connection->references, count, memory_order_relaxed);
	} else {
		/* It is freed after all that others did with it. */
		count = atomic_fetch_add_explicit(
				&connection->references, amount, memory_order_acq_rel) +
			amount;
	}
	if (!count)
		connection_free(connection);
}

/* An image is held no more; any thread. */
static inline void connection_unref(struct connection *connection)
{
	connection_count(connection, UINT64_MAX);
}

/* The client leaves it. */
static inline void connection_leave(struct connection *connection)
{
	connection_count(connection, connection->held - CONNECTION_CLIENT);
}

/* What a server answered, copied. */
struct reply {
	struct wire_answer answer;
	uint64_t words[4];
	char text[WIRE_TEXT_SIZE + 1]; /* terminated */
};

/*
 * Sends a request and waits for its answer. An answer of failure is returned as such. STATUS_UNAVAILABLE when the
 * server died.
 */
int connection_call(struct connection *connection, const struct wire_request *request,
	const char *name, struct timeout *timeout, struct waiting *waiting, struct reply *ret,
	struct error *err);

/* Whether it is of no more use: HEAD or a semaphore was truncated or overwritten. */
bool connection_damaged(const struct connection *connection);

/* Notes that an image in that segment is held from now on; connection_check then says
 * STATUS_BAD_DATA if something of the first `end` bytes of the segment is truncated, or was when it
 * was read. */
static inline void connection_mapped(
	struct connection *connection, unsigned hold, const struct data *data, unsigned truncations)
{
	connection->truncations[hold] = data->truncations + truncations;
}

int connection_check(struct connection *connection, unsigned hold, uint32_t segment, uint64_t end,
	struct error *err);

/* A data segment, opened, in which the bytes offset[0..length) were found to be; STATUS_BAD_DATA if
 * they are not all there. */
__attribute__((cold)) int connection_data(struct connection *connection, uint32_t segment,
	uint64_t offset, uint64_t length, const struct data **ret, struct error *err);

/* The same, if the segment is open and was long enough when we looked last; else NULL. */
static inline const struct data *connection_data_known(
	const struct connection *connection, uint32_t segment, uint64_t offset, uint64_t length)
{
	const struct data *data = &connection->data[segment];
	size_t size;

	if (segment >= connection->head.segments)
		return NULL;
	size = data->segment.size;
	if (size > data->segment.reserved || offset > size || length > size - offset ||
		guard_hit(data->guard))
		return NULL;
	return data;
}

/* A hold word of our seat that is not on its first page of them. */
__attribute__((cold)) _Atomic uint64_t *connection_far_hold_word(
	const struct connection *connection, unsigned hold);

/* A hold word of our seat. */
static inline _Atomic uint64_t *connection_hold_word(
	const struct connection *connection, unsigned hold)
{
	return hold < connection->page_holds ? &connection->hold_page->words[hold]
					     : connection_far_hold_word(connection, hold);
}

/* The same, and raises the mark above it. */
__attribute__((cold)) _Atomic uint64_t *connection_mark_hold_word(
	struct connection *connection, unsigned hold);

/* A hold word of our seat that the mark is above: we will write to it. */
static inline _Atomic uint64_t *connection_use_hold_word(
	struct connection *connection, unsigned hold)
{
	return hold < connection->near_holds ? &connection->hold_page->words[hold]
					     : connection_mark_hold_word(connection, hold);
}
