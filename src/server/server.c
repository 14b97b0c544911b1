#include "server/server.h"

#include "server/blocking.h"
#include "server/change_flag.h"
#include "server/changes.h"
#include "server/completion_loop.h"
#include "server/jobs.h"
#include "server/mount_table.h"
#include "server/pool.h"
#include "server/prefetch.h"
#include "server/publish.h"
#include "server/repair.h"
#include "server/request_loop.h"
#include "server/shards.h"
#include "server/supply.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"
#include "config.h"
#include "exchange/server_defaults.h"
#include "server/sandbox.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

const struct server_options server_defaults = {
	.seats = 128,
	.decode_timeout_ns = 10 * NS_PER_SECOND,
	.file_bytes = UINT64_C(256) << 20,
	.limits = {.pixels = 100000000,
		.bytes = UINT64_C(1) << 30,
		.memory = UINT64_C(1) << 30,
		.chunk_bytes = 8000000,
		.side = 65535,
		.scans = 100,
		.chunks = 1000},
	.access = {.mode = 0600, .group = (gid_t)-1},
};

/* ---- start ---- */

static int allocate(struct server *server, struct error *err)
{
	const struct server_options *options = &server->options;

	server->requests = calloc(options->seats, sizeof *server->requests);
	server->decoders = calloc(options->decoders, sizeof *server->decoders);
	server->decoder_busy = calloc(options->decoders, sizeof *server->decoder_busy);
	server->work = calloc(options->decoders, sizeof *server->work);
	if (!server->requests || !server->decoders || !server->decoder_busy || !server->work ||
		!prefetch_start(server))
		return error_os(err, ENOMEM, "cannot start the server");
	for (unsigned i = 0; i < options->seats; i++)
		server->requests[i].received.seat = i;
	for (unsigned i = 0; i < options->decoders; i++) {
		server->decoders[i] = DECODER_NONE;
		decoder_set_state(server, i, DECODER_DEAD);
	}
	return STATUS_OK;
}

static int create_objects(struct server *server, struct error *err)
{
	const struct server_options *options = &server->options;
	struct server_objects_options objects = {.space = options->space,
		.seats = options->seats,
		.segments = options->decoders,
		.reserve = options->cache,
		.flags = (server->missing & SANDBOX_NO_LANDLOCK ? WIRE_SERVER_NO_LANDLOCK : 0) |
			 (server->missing & SANDBOX_NO_SECCOMP ? WIRE_SERVER_NO_SECCOMP : 0) |
			 (options->isolate ? WIRE_SERVER_ISOLATE : 0) |
			 (server_has_inotify(server) ? 0 : WIRE_SERVER_NO_INOTIFY),
		.access = options->access};
	int status;

	publish_options(server, &objects);
	status = server_objects_create(&server->objects, &objects, err);
	if (!status)
		request_init(server);
	return status;
}

/* An errno, or 0. */
static int create_threads(struct server *server)
{
	int failed = pthread_create(&server->completion_thread, NULL, completion_main, server);

	if (failed)
		return failed;
	server->completion_started = true;
	failed = pthread_create(&server->request_thread, NULL, request_main, server);
	if (failed)
		return failed;
	server->request_started = true;
	return supply_start(server);
}

static int start_threads(struct server *server, struct error *err)
{
	sigset_t before;
	int failed;

	/* Signals are for the main thread. */
	process_block_signals(&before);
	failed = create_threads(server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? error_os(err, failed, "cannot start a thread") : STATUS_OK;
}

int server_check_sandbox(
	const struct server_options *options, unsigned *ret_missing, struct error *err)
{
	unsigned missing = sandbox_missing();
	int status = sandbox_prepare(err);

	if (status)
		return status;
	if (missing & SANDBOX_NO_SECCOMP && !options->allow_degraded)
		return error_set(err, STATUS_INTERNAL,
			"decoders cannot be confined: %s; --allow-degraded-sandbox serves without",
			HAVE_SECCOMP ? "this kernel has no seccomp filters"
				     : "this build has no seccomp");
	*ret_missing = missing;
	return STATUS_OK;
}

static struct server *server_new(const struct server_options *options)
{
	struct server *server = calloc(1, sizeof *server);
	size_t page = page_size();

	if (!server)
		return NULL;
	server->options = *options;
	server->folder = server->mounts_file = -1;
	server->objects = SERVER_OBJECTS_NONE;
	job_lines_init(server);
	server->epoll = server->timer = server->wake = -1;
	server->timer_at = DEADLINE_NEVER;
	pthread_cond_init(&server->supply.wanted, NULL);
	pthread_cond_init(&server->names.changed, NULL);
	if (!server->options.cache)
		server->options.cache = server_default_reserve();
	server->options.cache = (server->options.cache + page - 1) / page * page;
	return server;
}

/* What the objects are made after: the folder, how it may be looked at, what is watched. */
static int start_folder(struct server *server, struct error *err)
{
	int status = within_open(server->options.directory, &server->within, &server->folder, err);

	if (status)
		return status;
	status = mount_table_new(server->folder, &server->mounts, err);
	if (status)
		return status;
	status = blocking_start(server, err);
	if (status)
		return status;
	status = allocate(server, err);
	if (status)
		return status;
	status = watch_new(server->folder, &server->watch, err);
	if (status)
		return status;
	watch_set_mounts(server->watch, server->mounts);
	server->names.indexes_max = LISTED_INDEXES_MAX;
	server->shards = shards_new(server->watch);
	return server->shards ? STATUS_OK : error_os(err, ENOMEM, "cannot start");
}

/* The objects, and what is kept in them. */
static int start_store(struct server *server, struct error *err)
{
	int status = create_objects(server, err);

	if (status)
		return status;
	status = store_init(&server->store, &server->objects.head, server->objects.data,
		server->options.decoders, server->options.cache, err);
	server->store_ready = !status;
	server->store.watch = server->watch;
	return status ? status : publish_start(server, err);
}

/* Once there is a store: the decoders, what is decoded beforehand, the threads. */
static int start_work(struct server *server, struct error *err)
{
	bool preload = server->options.preload;
	int status = pool_start(server, err);

	if (status)
		return status;
	status = preload ? preload_new(server, err) : STATUS_OK;
	if (status)
		return status;
	changes_start(server);
	status = start_threads(server, err);
	if (status || !preload)
		return status;
	return preload_run(server, err);
}

static int start(struct server *server, struct error *err)
{
	int status = server_check_sandbox(&server->options, &server->missing, err);

	if (status)
		return status;
	status = change_flag_prepare(err);
	if (status)
		return status;
	status = guard_install(err);
	if (status)
		return status;
	status = start_folder(server, err);
	if (status)
		return status;
	status = start_store(server, err);
	if (status)
		return status;
	repair_remember(server);
	status = start_work(server, err);
	if (status)
		return status;
	status = server_objects_ready(&server->objects, err);
	repair_remember(server);
	return status;
}

int server_start(const struct server_options *options, struct server **ret, struct error *err)
{
	struct server *server = server_new(options);
	int status;

	if (!server)
		return error_os(err, ENOMEM, "cannot start the server");
	status = start(server, err);
	if (status) {
		server_stop(server);
		return status;
	}
	*ret = server;
	return STATUS_OK;
}

unsigned server_missing(const struct server *server)
{
	return server->missing;
}

bool server_has_inotify(const struct server *server)
{
	return watch_descriptor(server->watch) >= 0;
}

uint64_t server_cache(const struct server *server)
{
	return server->options.cache;
}

/* ---- while it runs ---- */

bool server_lacks_decoders(struct server *server, struct error *ret_why)
{
	bool lacks;

	store_lock(&server->store);
	lacks = server->supply.fails;
	if (lacks)
		*ret_why = server->supply.failure;
	store_unlock(&server->store);
	return lacks;
}

bool server_lacks_watches(struct server *server)
{
	bool lacks;

	store_lock(&server->store);
	lacks = watch_used_up(server->watch);
	store_unlock(&server->store);
	return lacks;
}

/* ---- stop ---- */

/* Lets what is under way finish for a while, then ends it. */
static void stop_threads(struct server *server)
{
	struct job *job;

	atomic_store(&server->stopping, true);
	if (server->request_started) {
		semaphore_post(server->objects.request);
		pthread_join(server->request_thread, NULL);
	}
	if (server->completion_started) {
		eventfd_write(server->wake, 1);
		pthread_join(server->completion_thread, NULL);
	}
	supply_stop(server);
	if (server->request_started)
		request_refuse_all(server);
	while ((job = job_take_first(server)))
		job_free(job);
}

void server_stop(struct server *server)
{
	if (!server)
		return;
	stop_threads(server);
	pool_stop(server);
	blocking_stop(server);
	server_objects_withdraw(&server->objects);
	if (server->store_ready)
		store_release(&server->store);
	shards_free(server->shards);
	watch_free(server->watch);
	mount_table_free(server->mounts);
	if (server->folder >= 0)
		close(server->folder);
	/* The lock goes with this: only now may a successor think that we are gone. */
	server_objects_release(&server->objects);
	changes_stop(server);
	preload_free(server->preload);
	prefetch_stop(server);
	free(server->requests);
	free(server->decoders);
	free(server->decoder_busy);
	free(server->work);
	listed_release(&server->names.made);
	listed_release(&server->names.done);
	free(server);
}
