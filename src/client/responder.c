/*
 * libshmsem: the responder, for programs that make what they hand out. One thread, one data
 * segment. Its running, its beginning and its end.
 */
#include "client/responder.h"

#include "base/clock.h"
#include "base/number.h"
#include "base/process.h"
#include "client/error.h"
#include "exchange/seats.h"
#include "exchange/server_defaults.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <stdlib.h>

#define KEPT_MAX      1000000
#define WAIT_SLICE_NS (100 * NS_PER_MS)
#define CHECK_NS      (250 * NS_PER_MS)

/* ---- running ---- */

static bool take_from(void *context, unsigned seat)
{
	struct shmsem_server *server = context;
	uint64_t sequence;

	if (!request_pending(&server->objects.head, seat, &sequence))
		return false;
	request_read(&server->objects.head, seat, sequence, &server->received);
	return true;
}

/* The seat that was served last comes last. */
static bool look(void *context, enum wait_where where)
{
	struct shmsem_server *server = context;
	unsigned last = server->received.seat;

	if (where == WAIT_LAST)
		return take_from(server, last);
	return request_scan(&server->objects.head, last, where == WAIT_ALL, take_from, server);
}

static void serve(struct shmsem_server *server)
{
	struct error err = {0};

	wire_count(&head_seat_counters(&server->objects.head, server->received.seat)->requests, 1);
	if (request_check(&server->received, &err)) {
		responder_refuse(server, &err);
		return;
	}
	switch ((enum wire_operation)server->received.request.operation) {
	case WIRE_PING:
		responder_answer_text(server, "", 0);
		break;
	case WIRE_GET:
	case WIRE_INFO:
		responder_serve_image(server);
		break;
	case WIRE_NAMES:
		responder_serve_names(server);
		break;
	}
}

static int check_objects(struct shmsem_server *server, struct error *err)
{
	uint64_t now = clock_now();

	if (server->cut || server_objects_damaged(&server->objects))
		return responder_truncated(err);
	if (now < server->next_check)
		return STATUS_OK;
	server->next_check = now + CHECK_NS;
	seats_reclaim(&server->objects.head);
	return server_objects_check(&server->objects, err);
}

int shmsem_server_run(struct shmsem_server *server, uint64_t timeout_ns, struct shmsem_error *error)
{
	uint64_t deadline = deadline_after(timeout_ns);
	struct error err = {0};
	int status = STATUS_OK;

	if (!responder_is_ours(server, &err))
		return error_export(error, &err, STATUS_USAGE);
	while (!status && !atomic_exchange(&server->stopping, false)) {
		struct timeout timeout = {.deadline = deadline};
		bool found = timeout_ns ? wait_for(&server->wait, &timeout, WAIT_SLICE_NS, NULL,
						  look, server) == WAIT_FOUND
					: look(server, WAIT_ALL);

		if (found)
			serve(server);
		status = check_objects(server, &err);
		if (clock_now() >= deadline && (timeout_ns || !found))
			break;
	}
	return error_export(error, &err, status);
}

void shmsem_server_stop(struct shmsem_server *server)
{
	atomic_store(&server->stopping, true);
	semaphore_post(server->objects.request);
}

/* ---- life ---- */

static int create(struct shmsem_server *server, struct error *err)
{
	struct shmsem_serve_options *options = &server->options;
	struct server_objects_options objects = {.seats = options->seats,
		.segments = 1,
		.map_data = true,
		.access = {.mode = options->mode, .group = (gid_t)-1}};
	int status;

	if (options->flags & ~(unsigned)SHMSEM_GUARD_SIGBUS || options->reserved2 ||
		options->reserved[0] || options->reserved[1] || options->reserved[2])
		return error_set(err, STATUS_USAGE,
			"the options of the server have flags or fields that this library does not "
			"know");
	if (!options->make && !options->kept)
		return error_set(err, STATUS_USAGE, "a server needs a callback 'make'");
	if (options->kept > KEPT_MAX)
		return error_set(err, STATUS_USAGE, "a server keeps %d names at the most, not %u",
			KEPT_MAX, options->kept);
	if (options->seats > WIRE_SEATS_MAX)
		return error_set(err, STATUS_USAGE, "a server has %d seats at the most, not %u",
			WIRE_SEATS_MAX, options->seats);
	if ((options->mode & 0600) != 0600 || options->mode > 0777)
		return error_set(err, STATUS_USAGE, "the mode %o is not possible", options->mode);
	status = namespace_parse(options->name_space, &objects.space, err);
	if (!status && options->flags & SHMSEM_GUARD_SIGBUS)
		status = guard_install(err);
	if (status)
		return status;
	if (!size_align(options->memory, page_size(), &options->memory) ||
		!arena_init(&server->arena, options->memory))
		return error_os(err, ENOMEM, "cannot serve");
	objects.reserve = options->memory;
	if (options->kept) {
		server->kept = calloc(options->kept, sizeof(struct kept *));
		if (!server->kept)
			return error_os(err, ENOMEM, "cannot serve");
		/* A quarter full with two entries for each, so that nearly every name has a place.
		 */
		objects.index_entries = 8;
		while (objects.index_entries < 8 * (uint64_t)options->kept)
			objects.index_entries *= 2;
	}
	return server_objects_create(&server->objects, &objects, err);
}

int shmsem_serve(struct shmsem_server **ret, const struct shmsem_serve_options *options,
	struct shmsem_error *error)
{
	struct shmsem_server *server = calloc(1, sizeof *server);
	struct error err = {0};
	int status;

	if (!server)
		return error_export(error, &err, error_os(&err, ENOMEM, "cannot serve"));
	server->options = *options;
	server->prepared.server = server;
	pthread_mutex_init(&server->lock, NULL);
	server->owner = process_id();
	server->next_number = 1;
	server->objects = SERVER_OBJECTS_NONE;
	if (!server->options.seats)
		server->options.seats = server_default_seats();
	if (!server->options.mode)
		server->options.mode = 0600;
	if (!server->options.memory)
		server->options.memory = server_default_reserve();
	status = create(server, &err);
	if (!status) {
		wait_init(&server->wait, server->objects.request, &server->stopping);
		status = server_objects_ready(&server->objects, &err);
	}
	if (status) {
		shmsem_server_close(server);
		return error_export(error, &err, status);
	}
	*ret = server;
	return error_export(error, &err, SHMSEM_OK);
}

static void refuse_all(struct shmsem_server *server)
{
	struct error stopping;

	error_set(&stopping, STATUS_UNAVAILABLE, "the server is stopping");
	while (look(server, WAIT_ALL))
		responder_refuse(server, &stopping);
}

void shmsem_server_close(struct shmsem_server *server)
{
	if (!server)
		return;
	if (server->owner == process_id()) {
		if (server->objects.request)
			refuse_all(server);
		server_objects_withdraw(&server->objects);
	} else {
		/* Not mapped in a child, where something else may be by now. */
		server_objects_disown(&server->objects);
	}
	server_objects_release(&server->objects);
	for (struct placed *placed = server->placed, *next; placed; placed = next) {
		next = placed->next;
		free(placed);
	}
	responder_kept_release(server);
	arena_release(&server->arena);
	free(server->names);
	free(server);
}
