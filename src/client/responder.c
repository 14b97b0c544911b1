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

#define KEPT_MAX 1000000
#define CHECK_NS (250 * NS_PER_MS)

/* ---- running ---- */

/* One request at a time is being answered. */
static struct seat_request *place(void *context, unsigned seat)
{
	struct shmsem_server *server = context;

	server->received.seat = seat;
	return &server->received;
}

static const struct serving_calls serving_calls = {
	.place = place, .image = responder_serve_image, .names = responder_serve_names};

static int check_objects(struct shmsem_server *server, struct error *err)
{
	uint64_t now = clock_now();

	if (server->cut || server_objects_damaged(&server->objects))
		return responder_truncated(err);
	if (now < server->next_check)
		return STATUS_OK;
	server->next_check = now + CHECK_NS;
	pthread_mutex_lock(&server->lock);
	seats_reclaim(&server->objects.head);
	pthread_mutex_unlock(&server->lock);
	seats_remind(&server->objects.head);
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
		struct seat_request *found = timeout_ns ? serving_await(&server->serving, deadline)
							: serving_take(&server->serving);

		if (found)
			serving_serve(&server->serving, found);
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
		serving_init(&server->serving, &server->objects, &serving_calls, server,
			&server->stopping, CHECK_NS);
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
	serving_refuse_all(&server->serving, &stopping);
}

void shmsem_server_close(struct shmsem_server *server)
{
	if (!server)
		return;
	if (server->owner == process_id()) {
		if (server->serving.objects)
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
