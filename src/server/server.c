#include "server/internal.h"
#include "server/repair.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "config.h"
#include "server/sandbox.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STOP_GRACE_NS  (2 * NS_PER_SECOND)

/* Workers beside those that wait for decoders: one leads, and one may be making a list. */
#define ATTENDANTS_MORE 2

#define DECODER_SPARE (UINT64_C(64) << 20)

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
	server->workers = calloc(options->decoders + ATTENDANTS_MORE, sizeof *server->workers);
	if (!server->requests || !server->decoders || !server->decoder_busy || !server->workers)
		return error_os(err, ENOMEM, "cannot start the server");
	for (unsigned i = 0; i < options->seats; i++)
		server->requests[i].asked.seat = i;
	for (unsigned i = 0; i < options->decoders; i++)
		server->decoders[i] = DECODER_NONE;
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
	int status = server_objects_create(&server->objects, &objects, err);

	wait_init(&server->wait, server->objects.request, &server->stopping);
	return status;
}

static int open_folder(struct server *server, struct error *err)
{
	server->folder = open(server->options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return server->folder < 0
		       ? error_os(err, errno, "cannot open '%s'", server->options.directory)
		       : STATUS_OK;
}

struct decoder_setup server_decoder_setup(const struct server_options *options, uint64_t reserve)
{
	struct decoder_setup setup = {.reserve = reserve,
		.cpu_seconds = options->decode_timeout_ns / NS_PER_SECOND + 1,
		.isolate = options->isolate,
		.allow_degraded = options->allow_degraded};
	uint64_t codec;

	/* What has no limit, or one beyond any address space, limits nothing. */
	if (!options->file_bytes || !options->limits.memory ||
		!size_multiply(options->limits.memory, 3, &codec) ||
		!size_add(codec, options->file_bytes, &setup.memory) ||
		!size_add(setup.memory, DECODER_SPARE, &setup.memory) || setup.memory > INT64_MAX)
		setup.memory = 0;
	return setup;
}

static int start_decoders(struct server *server, struct error *err)
{
	int status = STATUS_OK;

	for (unsigned i = 0; i < server->options.decoders && !status; i++) {
		server->decoders[i].segment_fd = server->objects.data[i].fd;
		server->decoders[i].starts =
			&head_server(&server->objects.head)->counters[WIRE_COUNT_DECODER_STARTS];
		server->decoders[i].setup = server_decoder_setup(
			&server->options, server->options.cache);
		status = decoder_start(&server->decoders[i], err);
	}
	return status;
}

static int start_threads(struct server *server, struct error *err)
{
	sigset_t all, before;
	int failed = 0;

	/* Signals are for the thread that tends the server. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (server->workers_count < server->options.decoders + ATTENDANTS_MORE && !failed) {
		struct worker *worker = &server->workers[server->workers_count];

		worker->server = server;
		worker->readiness = change_flag_new(watch_descriptor(server->watch));
		failed = pthread_create(&worker->thread, NULL, worker_main, worker);
		if (failed)
			change_flag_free(worker->readiness);
		server->workers_count += !failed;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? error_os(err, failed, "cannot start a worker thread") : STATUS_OK;
}

int server_check_sandbox(
	const struct server_options *options, unsigned *ret_missing, struct error *err)
{
	unsigned missing = sandbox_missing();

	if (missing & SANDBOX_NO_SECCOMP && !options->allow_degraded)
		return error_set(err, STATUS_INTERNAL,
			"decoders cannot be confined: %s; --allow-degraded-sandbox serves without",
			HAVE_SECCOMP ? "this kernel has no seccomp filters"
				     : "this build has no seccomp");
	*ret_missing = missing;
	return STATUS_OK;
}

int server_start(const struct server_options *options, struct server **ret, struct error *err)
{
	struct server *server = calloc(1, sizeof *server);
	int status;

	if (!server)
		return error_os(err, ENOMEM, "cannot start the server");
	server->options = *options;
	server->folder = -1;
	server->objects = SERVER_OBJECTS_NONE;
	server->last_job = &server->first_job;
	pthread_mutex_init(&server->leadership, NULL);
	pthread_mutex_init(&server->pool_lock, NULL);
	if (!server->options.cache)
		server->options.cache = server_objects_default_reserve();
	server->options.cache = (server->options.cache + ARENA_PAGE - 1) / ARENA_PAGE * ARENA_PAGE;

	status = server_check_sandbox(options, &server->missing, err);
	if (!status)
		status = guard_install(err);
	if (!status)
		status = open_folder(server, err);
	if (!status)
		status = allocate(server, err);
	if (!status)
		status = watch_new(server->folder, &server->watch, err);
	if (!status)
		status = create_objects(server, err);
	if (!status) {
		status = store_init(&server->store, &server->objects.head, server->objects.data,
			server->options.decoders, server->options.cache, err);
		server->store_ready = !status;
		server->store.watch = server->watch;
	}
	if (!status)
		status = start_decoders(server, err);
	if (!status && options->preload)
		status = preload_new(server, err);
	if (!status)
		status = start_threads(server, err);
	if (!status && options->preload)
		status = preload_wait(server, err);
	if (status) {
		server_stop(server);
		return status;
	}
	server_objects_ready(&server->objects);
	repair_remember(server);
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

static void update_sums(struct server *server)
{
	struct wire_server *page = head_server(&server->objects.head);
	uint64_t backed, used;

	store_sums(&server->store, &backed, &used);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_BACKED], backed);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_USED], used);
	atomic_store(&page->counters[WIRE_COUNT_IMAGES], server->store.ready.count);
	atomic_store(&page->counters[WIRE_COUNT_EVICTIONS], server->store.evictions);
}

int server_upkeep(struct server *server, bool *ret_done, struct error *err)
{
	int status = repair_objects(server, err);

	if (status)
		return status;
	repair_decoders(server);
	store_lock(&server->store);
	store_check_segments(&server->store);
	update_sums(server);
	store_unlock(&server->store);
	*ret_done = server->options.requests &&
		    atomic_load(&server->answers) >= server->options.requests;
	return STATUS_OK;
}

/* ---- stop ---- */

/* Lets what is under way finish for a while, then ends it. */
static void join_threads(struct server *server)
{
	struct timespec until;

	atomic_store(&server->stopping, true);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(STOP_GRACE_NS / NS_PER_SECOND);
	for (unsigned i = 0; i < server->workers_count; i++) {
		pthread_t thread = server->workers[i].thread;

		semaphore_post(server->objects.request);
		if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
			atomic_store(&server->abandon, true);
			pthread_join(thread, NULL);
		}
		change_flag_free(server->workers[i].readiness);
	}
	if (server->workers_count)
		server_refuse_all(server);
}

void server_stop(struct server *server)
{
	if (!server)
		return;
	join_threads(server);
	for (unsigned i = 0; server->decoders && i < server->options.decoders; i++)
		decoder_stop(&server->decoders[i]);
	server_objects_withdraw(&server->objects);
	if (server->store_ready)
		store_release(&server->store);
	watch_free(server->watch);
	if (server->folder >= 0)
		close(server->folder);
	/* The lock goes with this: only now may a successor think that we are gone. */
	server_objects_release(&server->objects);
	pthread_mutex_destroy(&server->leadership);
	pthread_mutex_destroy(&server->pool_lock);
	preload_free(server->preload);
	free(server->names);
	free(server->requests);
	free(server->decoders);
	free(server->decoder_busy);
	free(server->workers);
	free(server);
}
