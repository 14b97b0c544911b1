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
#include "server/serve_image.h"
#include "shmsem.h"

#define WAIT_SLICE_NS (100 * NS_PER_MS)

#define OPTION_ALIKE(field)                                                                    \
	_Static_assert(                                                                        \
		offsetof(struct image_options, field) == offsetof(struct wire_options, field), \
		"options of the wire and of an image")

/* The options of a request are copied as they are. */
OPTION_ALIKE(flags);
OPTION_ALIKE(fit_height);
OPTION_ALIKE(longer);
OPTION_ALIKE(crop_height);
OPTION_ALIKE(resample);

#define NUMBER_ALIKE(name)                                      \
	_Static_assert((int)SHMSEM_##name == (int)IMAGE_##name, \
		"numbers of the public header and of an image")

/* So are their numbers, and the format in the answer. */
NUMBER_ALIKE(NATIVE_DEPTH);
NUMBER_ALIKE(KEEP_ORIENTATION);
NUMBER_ALIKE(PREMULTIPLY);
NUMBER_ALIKE(STRICT);
NUMBER_ALIKE(LENIENT);
NUMBER_ALIKE(DRAFT);
NUMBER_ALIKE(CROP_CENTRED);
NUMBER_ALIKE(KEEP_CMYK);
NUMBER_ALIKE(BICUBIC);
NUMBER_ALIKE(BOX);
NUMBER_ALIKE(BILINEAR);
NUMBER_ALIKE(LANCZOS);
NUMBER_ALIKE(FORMAT_UNKNOWN);
_Static_assert((int)SHMSEM_RGB == (int)IMAGE_LAYOUT_RGB, "layouts");
_Static_assert((int)SHMSEM_BGR == (int)IMAGE_LAYOUT_BGR, "layouts");
_Static_assert((int)SHMSEM_PNG == (int)IMAGE_FORMAT_PNG, "formats");
_Static_assert((int)SHMSEM_JPEG == (int)IMAGE_FORMAT_JPEG, "formats");

static void serve_request(struct server *server, struct request *request)
{
	wire_count(&head_seat_counters(&server->objects.head, request->received.seat)->requests, 1);
	if (request->refused.status) {
		answer_error(server, request, &request->refused);
		return;
	}
	switch ((enum wire_operation)request->received.request.operation) {
	case WIRE_PING:
		answer_plainly(server, request, NULL, 0);
		break;
	case WIRE_GET:
	case WIRE_INFO:
		serve_image(server, request);
		break;
	case WIRE_NAMES:
		store_lock(&server->store);
		names_ask(server, request);
		store_unlock(&server->store);
		break;
	}
}

/* Takes up the request of a seat, if it has one. */
static struct request *take_from(struct server *server, unsigned seat)
{
	struct request *request = &server->requests[seat];
	const struct wire_options *options = &request->received.request.options;
	uint64_t sequence;

	if (!request_pending(&server->objects.head, seat, &sequence))
		return NULL;
	/* The last request of this seat was withdrawn, and its answer is not here yet. */
	if (atomic_load(&request->state) != REQUEST_NONE) {
		store_lock(&server->store);
		answer_never(server, request);
		store_unlock(&server->store);
	}
	request_read(&server->objects.head, seat, sequence, &request->received);
	server->last_seat = seat;
	request->refused.status = STATUS_OK;
	request_check(&request->received, &request->refused);
	memcpy(&request->options, options, sizeof request->options);
	if (request->options.scale == 1) /* as 0, not to be stored twice */
		request->options.scale = 0;
	return request;
}

struct look {
	struct server *server;
	struct request *found;
};

static bool take_found(void *context, unsigned seat)
{
	struct look *look = context;

	look->found = take_from(look->server, seat);
	return look->found;
}

/* The next seat with a request, beginning behind the one that was last served. */
static bool take_request(void *context, enum wait_where where)
{
	struct look *look = context;
	struct server *server = look->server;

	if (where == WAIT_LAST)
		return take_found(look, server->last_seat);
	return request_scan(
		&server->objects.head, server->last_seat, where == WAIT_ALL, take_found, look);
}

/* So that requesters need not ask because of what happened before. */
static void take_in(struct server *server)
{
	store_lock(&server->store);
	changes_take_in(server);
	store_unlock(&server->store);
}

void request_serve(struct server *server)
{
	struct timeout never = {.deadline = DEADLINE_NEVER};
	struct look look = {.server = server};

	server->wait.spin.busy = atomic_load(&server->decoding);
	if (wait_for(&server->wait, &never, WAIT_SLICE_NS, NULL, take_request, &look) !=
		WAIT_FOUND) {
		take_in(server);
		return;
	}
	serve_request(server, look.found);
	/* The request waits for a decoder now. */
	if (atomic_load(&look.found->state) != REQUEST_NONE)
		wait_skip_spin(&server->wait);
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
	for (unsigned seat = 0; seat < server->options.seats; seat++) {
		struct request *request = &server->requests[seat];

		if (atomic_load(&request->state) != REQUEST_NONE) {
			store_lock(&server->store);
			answer_never(server, request);
			store_unlock(&server->store);
			answer_error(server, request, &stopping);
		}
		request = take_from(server, seat);
		if (request)
			answer_error(server, request, &stopping);
	}
}
