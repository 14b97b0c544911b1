/*
 * The classic exchange, with programs that know nothing else: two semaphores, two segments, one
 * requester and one responder, no errors, time-outs or locks on the other side.
 *
 *	request   HEAD: the name's length              DATA: the name     post REQ
 *	answer    HEAD: bytes, width, height, channels  DATA: the pixels  post RES
 *
 * Words are uint64_t, in native byte order. Such a peer may truncate both segments whenever it
 * writes, recreate them when it starts and leave counts in the semaphores. So the sizes are asked
 * for anew for every request, words and names are read and written by pread() and pwrite() (a
 * segment truncated meanwhile is a short count, never a signal), and only private copies are used.
 * Every wait is bounded. A role belongs to one thread.
 */
#pragma once

#include "base/error.h"
#include "shm/names.h"
#include "shm/segment.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define CLASSIC_NAME_MAX 4096 /* bytes */

/* 8-bit samples, interleaved, rows top-down without padding. Of an answer: all zero, or whole. */
struct classic_geometry {
	uint64_t bytes; /* width x height x channels */
	uint64_t width, height;
	uint64_t channels; /* 1 to 4 */
};

/*
 * The responder, for a requester that creates the objects.
 */

struct classic_responder;

/* Room for pixels at the start of the data segment. */
struct classic_room {
	void *pixels;        /* in this process, writable, guarded against SIGBUS (guard.h) */
	int fd;              /* the segment, for another process to map; stays the responder's */
	uint64_t generation; /* changes when `fd` has become another segment; never 0 */
};

/*
 * Answers a request for `name` (without NUL bytes inside, in private memory): finds out the size,
 * gets room by classic_responder_room(), puts the pixels there and says what they are. An error
 * means that this image cannot be served: the requester gets four zeros.
 */
typedef int classic_answer(void *context, struct classic_responder *responder, const char *name,
	struct classic_geometry *ret, struct error *err);

struct classic_responder_options {
	struct name_space space;
	uint64_t max_bytes; /* of pixels: the address space mapped, and the limit */
	classic_answer *answer;
	void *context; /* the first argument of `answer` */
};

/* Looks for nobody yet. classic_responder_free takes NULL and returns NULL; it unlinks nothing: the
 * objects are the requester's. */
int classic_responder_new(const struct classic_responder_options *options,
	struct classic_responder **ret, struct error *err);
struct classic_responder *classic_responder_free(struct classic_responder *responder);

enum classic_outcome {
	CLASSIC_ABSENT,   /* no requester, or not all of its objects yet */
	CLASSIC_IDLE,     /* it asked for nothing */
	CLASSIC_ANSWERED, /* it got an image */
	CLASSIC_REFUSED,  /* it got four zeros; *err says why */
};

/*
 * Serves one request: waits for it, at most 100 ms and not beyond `deadline`, and answers it.
 * Notices by itself when a requester comes, goes and comes again. An error is one that the next
 * call will meet again: a server has the namespace, objects that are not ours to use, or out of
 * some resource.
 */
int classic_responder_serve(struct classic_responder *responder, uint64_t deadline,
	enum classic_outcome *ret, struct error *err);

/* For the answer callback: room for `bytes`, all of it really there. The last call counts.
 * STATUS_TRY_AGAIN if /dev/shm is full, STATUS_BAD_DATA beyond max_bytes. */
int classic_responder_room(struct classic_responder *responder, uint64_t bytes,
	struct classic_room *ret, struct error *err);

/*
 * The requester and creator, for a responder that joins.
 */

struct classic_requester;

struct classic_requester_options {
	struct name_space space;
	struct access access;    /* of the objects it creates */
	uint64_t max_bytes;      /* of pixels; more is refused */
	const atomic_bool *stop; /* ends a wait within 100 ms when true; may be NULL */
};

/*
 * Makes both segments anew, and the semaphores where there are none (a responder may hold those
 * that are there), and takes stale counts out of them. STATUS_TRY_AGAIN if somebody who lives, a
 * server of ours or a requester like this one, has the namespace; what a dead one left is removed.
 *
 * classic_requester_free unlinks all four objects, each if its name still means what we used. It
 * takes NULL and returns NULL.
 */
int classic_requester_new(const struct classic_requester_options *options,
	struct classic_requester **ret, struct error *err);
struct classic_requester *classic_requester_free(struct classic_requester *requester);

struct classic_image {
	struct classic_geometry geometry;
	const void *pixels; /* private to this process; valid until the next request */
};

/*
 * Asks for `name` and waits for the answer.
 *
 *	STATUS_NOT_FOUND	the responder could not serve it (it says no more than that)
 *	STATUS_TRY_AGAIN	no answer until `deadline`, stopped, or still owed the answer to
 *				an earlier request; the two cannot be told apart, so nothing is
 *				asked before that one came
 *	STATUS_BAD_DATA		the answer does not fit itself, the segment or max_bytes
 *	STATUS_UNAVAILABLE	somebody removed or replaced the objects
 */
int classic_requester_fetch(struct classic_requester *requester, const char *name,
	uint64_t deadline, struct classic_image *ret, struct error *err);
