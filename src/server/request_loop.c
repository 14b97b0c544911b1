/*
 * The request thread: watches the seats, spinning or asleep, answers at once what costs nothing
 * (pings, stored images, known failures) and hands on what takes longer: images to the decoders,
 * lists of names, and files that cannot be opened without waiting, to helpers.
 */
#include "server/request_loop.h"

#include "base/clock.h"
#include "server/answer.h"
#include "server/changes.h"
#include "server/name_list.h"
#include "server/prefetch_answer.h"
#include "server/prefetch_fill.h"
#include "server/serve_image.h"

/* Of a wait of a server that nobody asks: upkeep looks more often whether somebody does. */
#define QUIET_NS (10 * NS_PER_SECOND)

/* ---- what `serving` calls ---- */

static struct seat_request *place(void *context, unsigned seat)
{
	struct server *server = context;
	struct request *request = &server->requests[seat];

	/* The last request of this seat was withdrawn, and its answer is not here yet. */
	if (atomic_load(&request->state) != REQUEST_NONE) {
		store_lock(&server->store);
		answer_never(server, request);
		store_unlock(&server->store);
	}
	return &request->received;
}

static void copy_options(struct request *request)
{
	request->options = request->received.request.options.image;
	if (request->options.scale == 1) /* as 0, not to be stored twice */
		request->options.scale = 0;
}

static void image(void *context, struct seat_request *received)
{
	struct server *server = context;
	struct request *request = &server->requests[received->seat];

	copy_options(request);
	serve_image(server, request);
}

static void names(void *context, struct seat_request *received)
{
	struct server *server = context;

	store_lock(&server->store);
	names_ask(server, &server->requests[received->seat]);
	store_unlock(&server->store);
}

static void prefetch(void *context, struct seat_request *received)
{
	struct server *server = context;
	struct request *request = &server->requests[received->seat];

	copy_options(request);
	store_lock(&server->store);
	prefetch_ask(server, request);
	/* Once something is begun, its end begins the next. */
	while (prefetch_fill(server, 1) && !server->prefetches.begun)
		;
	store_unlock(&server->store);
}

static void answered(void *context)
{
	struct server *server = context;

	if (server->options.requests &&
		atomic_fetch_add(&server->answers, 1) + 1 == server->options.requests)
		atomic_store(&server->stopping, true);
}

void request_init(struct server *server)
{
	static const struct serving_calls calls = {.place = place,
		.image = image,
		.names = names,
		.prefetch = prefetch,
		.answered = answered};

	serving_init(
		&server->serving, &server->objects, &calls, server, &server->stopping, QUIET_NS);
}

/* ---- the loop ---- */

/* So that requesters need not ask because of what happened before. */
static void take_in(struct server *server)
{
	store_lock(&server->store);
	changes_take_in(server);
	store_unlock(&server->store);
}

void request_serve(struct server *server)
{
	struct wait *wait = &server->serving.wait;
	struct seat_request *received;

	wait->spin.busy = atomic_load(&server->decoding);
	received = serving_await(&server->serving, DEADLINE_NEVER);
	if (!received) {
		take_in(server);
		return;
	}
	serving_serve(&server->serving, received);
	/* The request waits for a decoder now. */
	if (atomic_load(&server->requests[received->seat].state) != REQUEST_NONE)
		wait_skip_spin(wait);
}

void *request_main(void *context)
{
	struct server *server = context;

	take_in(server);
	while (!atomic_load(&server->stopping))
		request_serve(server);
	return NULL;
}

void request_refuse_all(struct server *server)
{
	struct error stopping;

	error_set(&stopping, STATUS_UNAVAILABLE, "the server is stopping");
	store_lock(&server->store);
	for (unsigned seat = 0; seat < server->options.seats; seat++) {
		struct request *request = &server->requests[seat];

		if (atomic_load(&request->state) == REQUEST_NONE)
			continue;
		answer_never(server, request);
		serving_answer_failure(&server->serving, &request->received, &stopping);
	}
	store_unlock(&server->store);
	serving_refuse_all(&server->serving, &stopping);
}
