/*
 * The serving side of a namespace's seats, for every server of requests: it waits for a request,
 * takes and checks it, hands it on by its operation, and writes the answers that need no image.
 * What an image or a list of names is, `calls` decides.
 */
#pragma once

#include "base/error.h"
#include "exchange/request.h"
#include "exchange/server_objects.h"
#include "exchange/wait.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serving_calls {
	/* Where the request of the seat is to be copied, `seat` of which is filled in. */
	struct seat_request *(*place)(void *context, unsigned seat);
	/* Each answers the request, or sees to it that it will be. */
	void (*image)(void *context, struct seat_request *received);
	void (*names)(void *context, struct seat_request *received);
	void (*prefetch)(void *context, struct seat_request *received); /* NULL: it is refused */
	/* After each answer, in the thread that gave it; may be NULL. */
	void (*answered)(void *context);
};

struct serving {
	const struct server_objects *objects;
	const struct serving_calls *calls;
	void *context; /* of the calls */
	struct wait wait;
	unsigned last; /* the seat that was served last comes last */
	uint64_t quiet_ns;
	atomic_uint fruitless; /* waits in a row in which no request came */
	struct seat_request *found;
};

/* `stopping` ends waits, once REQ is posted. They take a tenth of a second, and up to `quiet_ns` once
 * no request has come for some time. */
void serving_init(struct serving *serving, const struct server_objects *objects,
	const struct serving_calls *calls, void *context, const atomic_bool *stopping,
	uint64_t quiet_ns);

/* The request that is served next; NULL if there is none now. */
struct seat_request *serving_take(struct serving *serving);

/* The same, which waits a moment, and not beyond `deadline`. For one thread. */
struct seat_request *serving_await(struct serving *serving, uint64_t deadline);

/* Whether no request has come for some time. In any thread. */
bool serving_quiet(const struct serving *serving);

/* Ends a wait if there is a request, whose post was lost then. In any thread. */
void serving_remind(const struct serving *serving);

/* Serves a request that was taken. */
void serving_serve(struct serving *serving, struct seat_request *received);

/* Refuses every request that stands, each seat's once. */
void serving_refuse_all(struct serving *serving, const struct error *failure);

/* Answers, in any thread: success without an image, but with `length` bytes of text; or a failure. */
void serving_answer_text(const struct serving *serving, const struct seat_request *received,
	const char *text, size_t length);
void serving_answer_failure(const struct serving *serving, const struct seat_request *received,
	const struct error *failure);

/* Completes an answer that was written (request_put_answer), which holds the image numbered `image`
 * (0: none), and wakes the requester. False if the request has been withdrawn. */
bool serving_complete(
	const struct serving *serving, const struct seat_request *received, uint64_t image);
