#include "serve/internal.h"
#include "serve/repair.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "config.h"
#include "ipc/guard.h"
#include "ipc/lock.h"
#include "ipc/reclaim.h"
#include "ipc/semaphore.h"
#include "serve/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define SPIN_BUDGET_NS  (100 * NS_PER_US)
#define STOP_GRACE_NS   (2 * NS_PER_SECOND)
#define CACHE_DEFAULT   (UINT64_C(512) << 20)
#define CACHE_LEAST     (UINT64_C(1) << 20)
#define CREATE_ATTEMPTS 8
#define DECODER_SPARE   (UINT64_C(64) << 20)

const struct server_options server_defaults = {
	.seats = 16,
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

/* ---- objects ---- */

static void remember_object(
	struct server *server, enum object_kind kind, unsigned index, dev_t device, ino_t inode)
{
	struct published *object = &server->objects[server->objects_count++];

	*object = (struct published){
		.kind = kind, .index = index, .device = device, .inode = inode, .guard = -1};
	object_file(&server->options.space, kind, index, object->file);
}

/* HEAD comes first and goes last. What has its name by now, after a successor took over, is not
 * ours. */
static void unlink_objects(struct server *server)
{
	while (server->objects_count) {
		struct published *object = &server->objects[--server->objects_count];

		shm_unlink_same(object->file, object->device, object->inode);
		guard_remove(object->guard);
	}
}

static void write_constants(struct server *server, uint64_t instance)
{
	const struct server_options *options = &server->options;
	struct wire_server *page;
	struct timespec now;

	server->head.seats = options->seats;
	server->head.segments = options->decoders;
	server->head.reserve = options->cache;
	for (unsigned seat = 0; seat < options->seats; seat++) {
		struct wire_seat *at = head_seat(&server->head, seat);

		at->magic = WIRE_MAGIC;
		at->version = WIRE_VERSION;
		at->seats = options->seats;
		at->segments = options->decoders;
		at->instance = instance;
	}
	page = head_server(&server->head);
	clock_gettime(CLOCK_REALTIME, &now);
	page->pid = (uint32_t)getpid();
	page->reserve = options->cache;
	page->flags = (server->missing & SANDBOX_NO_LANDLOCK ? WIRE_SERVER_NO_LANDLOCK : 0) |
		      (server->missing & SANDBOX_NO_SECCOMP ? WIRE_SERVER_NO_SECCOMP : 0) |
		      (options->isolate ? WIRE_SERVER_ISOLATE : 0);
	page->started = (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
	atomic_store(&page->counters[WIRE_COUNT_CACHE_LIMIT], options->cache);
}

/*
 * Makes the namespace ours: HEAD, complete and locked, gets its name if nobody has it. What a dead
 * server left is removed and the attempt repeated.
 */
static int create_head(struct server *server, struct error *err)
{
	const struct server_options *options = &server->options;
	size_t size = wire_head_size(options->seats);
	struct segment *segment = &server->head.segment;
	char name[OBJECT_NAME_SIZE];
	uint64_t instance = 0;
	int status, failed;

	status = segment_new(size, size, &options->access, segment, err);
	if (status)
		return status;
	if (getrandom(&instance, sizeof instance, GRND_NONBLOCK) < 0)
		instance = clock_now();
	write_constants(server, instance);
	failed = lock_take(segment->fd, WIRE_SERVER_LOCK);
	if (failed)
		return error_os(err, failed, "cannot lock the header segment");
	object_name(&options->space, OBJECT_HEAD, 0, name);
	for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
		status = reclaim_namespace(&options->space, NULL, err);
		if (status)
			return status;
		status = segment_publish(segment, name, err);
		if (!status || !err || err->os_error != EEXIST)
			break;
	}
	if (!status)
		remember_object(server, OBJECT_HEAD, 0, segment->device, segment->inode);
	server->head.guard = guard_add(segment->base, segment->reserved);
	return status;
}

static int create_semaphore(struct server *server, enum object_kind kind, unsigned index,
	sem_t **ret, struct error *err)
{
	char name[OBJECT_NAME_SIZE];
	dev_t device;
	ino_t inode;
	int status;

	object_name(&server->options.space, kind, index, name);
	status = semaphore_create(name, &server->options.access, &device, &inode, err);
	if (status)
		return status;
	remember_object(server, kind, index, device, inode);
	status = semaphore_open(name, ret, err);
	if (!status) {
		uintptr_t page = (uintptr_t)*ret & ~(uintptr_t)(WIRE_PAGE - 1);

		server->objects[server->objects_count - 1].guard = guard_add(
			(void *)page, WIRE_PAGE);
	}
	return status;
}

/* The lock on REQ's own file tells it from a classic namespace's, should HEAD ever be missing. */
static int lock_request_semaphore(struct server *server, struct error *err)
{
	char file[OBJECT_FILE_SIZE], path[sizeof SHM_DIRECTORY + OBJECT_FILE_SIZE];
	int failed;

	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY,
		object_file(&server->options.space, OBJECT_REQUEST, 0, file));
	server->request_lock = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	failed = server->request_lock < 0 ? errno
					  : lock_take(server->request_lock, WIRE_SERVER_LOCK);
	return failed ? error_os(err, failed, "cannot lock the request semaphore") : STATUS_OK;
}

static int create_data(struct server *server, unsigned index, struct error *err)
{
	struct access access = server->options.access;
	struct segment *segment = &server->data[index];
	char name[OBJECT_NAME_SIZE];
	int status, failed;

	/* Clients read data, and only read it; we ourselves must be able to write. */
	access.mode = (access.mode & 0444) | 0600;
	status = segment_new(WIRE_PAGE, 0, &access, segment, err);
	if (status)
		return status;
	failed = lock_take(segment->fd, WIRE_SERVER_LOCK);
	if (failed)
		return error_os(err, failed, "cannot lock a data segment");
	status = segment_publish(
		segment, object_name(&server->options.space, OBJECT_DATA, index, name), err);
	if (!status)
		remember_object(server, OBJECT_DATA, index, segment->device, segment->inode);
	return status;
}

static int create_objects(struct server *server, struct error *err)
{
	const struct server_options *options = &server->options;
	int status = create_head(server, err);

	if (!status)
		status = create_semaphore(
			server, OBJECT_REQUEST, 0, &server->request_semaphore, err);
	if (!status)
		status = lock_request_semaphore(server, err);
	for (unsigned i = 0; i < options->seats && !status; i++)
		status = create_semaphore(
			server, OBJECT_RESPONSE, i, &server->response_semaphores[i], err);
	for (unsigned i = 0; i < options->decoders && !status; i++)
		status = create_data(server, i, err);
	return status;
}

/* ---- start ---- */

static int allocate(struct server *server, struct error *err)
{
	const struct server_options *options = &server->options;

	server->objects = calloc(2 + options->seats + options->decoders, sizeof *server->objects);
	server->response_semaphores = calloc(options->seats, sizeof *server->response_semaphores);
	server->requests = calloc(options->seats, sizeof *server->requests);
	server->data = calloc(options->decoders, sizeof *server->data);
	server->decoders = calloc(options->decoders, sizeof *server->decoders);
	server->decoder_busy = calloc(options->decoders, sizeof *server->decoder_busy);
	server->threads = calloc(options->decoders + 1, sizeof *server->threads);
	if (!server->objects || !server->response_semaphores || !server->requests ||
		!server->data || !server->decoders || !server->decoder_busy || !server->threads)
		return error_os(err, ENOMEM, "cannot start the server");
	for (unsigned i = 0; i < options->seats; i++)
		server->requests[i].seat = i;
	for (unsigned i = 0; i < options->decoders; i++) {
		server->data[i] = SEGMENT_NONE;
		server->decoders[i] = DECODER_NONE;
	}
	return STATUS_OK;
}

static int open_folder(struct server *server, struct error *err)
{
	server->folder = open(server->options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return server->folder < 0
		       ? error_os(err, errno, "cannot open '%s'", server->options.directory)
		       : STATUS_OK;
}

/* Half a gigabyte, or a quarter of what is free where that is less. */
static uint64_t default_cache(void)
{
	struct statvfs system;
	uint64_t quarter;

	if (statvfs(SHM_DIRECTORY, &system) != 0)
		return CACHE_DEFAULT;
	quarter = (uint64_t)system.f_bavail * system.f_bsize / 4;
	if (quarter > CACHE_DEFAULT)
		return CACHE_DEFAULT;
	return quarter < CACHE_LEAST ? CACHE_LEAST : quarter;
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
		!size_multiply(options->limits.memory, 2, &codec) ||
		!size_add(codec, options->file_bytes, &setup.memory) ||
		!size_add(setup.memory, DECODER_SPARE, &setup.memory) || setup.memory > INT64_MAX)
		setup.memory = 0;
	return setup;
}

static int start_decoders(struct server *server, struct error *err)
{
	int status = STATUS_OK;

	for (unsigned i = 0; i < server->options.decoders && !status; i++) {
		server->decoders[i].segment_fd = server->data[i].fd;
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
	while (server->threads_count < server->options.decoders + 1 && !failed) {
		failed = pthread_create(
			&server->threads[server->threads_count], NULL, attendant_main, server);
		server->threads_count += !failed;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? error_os(err, failed, "cannot start an attendant thread") : STATUS_OK;
}

/* Never silently weaker. */
static int check_sandbox(struct server *server, struct error *err)
{
	server->missing = sandbox_missing();
	if (server->missing & SANDBOX_NO_SECCOMP && !server->options.allow_degraded)
		return error_set(err, STATUS_INTERNAL,
			"decoders cannot be confined: %s; --allow-degraded-sandbox serves without",
			HAVE_SECCOMP ? "this kernel has no seccomp filters"
				     : "this build has no seccomp");
	return STATUS_OK;
}

int server_start(const struct server_options *options, struct server **ret, struct error *err)
{
	struct server *server = calloc(1, sizeof *server);
	int status;

	if (!server)
		return error_os(err, ENOMEM, "cannot start the server");
	server->options = *options;
	server->folder = server->request_lock = -1;
	server->head = HEAD_NONE;
	server->last_job = &server->first_job;
	pthread_mutex_init(&server->baton, NULL);
	pthread_mutex_init(&server->pool_lock, NULL);
	pthread_mutex_init(&server->names_lock, NULL);
	spin_init(&server->spin, SPIN_BUDGET_NS);
	if (!server->options.cache)
		server->options.cache = default_cache();
	server->options.cache = (server->options.cache + PLACE_PAGE - 1) / PLACE_PAGE * PLACE_PAGE;

	status = check_sandbox(server, err);
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
		status = store_init(&server->store, &server->head, server->data,
			server->options.decoders, server->options.cache, err);
		server->store_ready = !status;
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
	atomic_store(&head_server(&server->head)->ready, 1);
	repair_remember(server);
	*ret = server;
	return STATUS_OK;
}

unsigned server_missing(const struct server *server)
{
	return server->missing;
}

uint64_t server_cache(const struct server *server)
{
	return server->options.cache;
}

/* ---- while it runs ---- */

static void update_sums(struct server *server)
{
	struct wire_server *page = head_server(&server->head);
	uint64_t backed, used;

	store_sums(&server->store, &backed, &used);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_BACKED], backed);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_USED], used);
	atomic_store(&page->counters[WIRE_COUNT_IMAGES], server->store.ready.count);
	atomic_store(&page->counters[WIRE_COUNT_EVICTIONS], server->store.evictions);
}

int server_tend(struct server *server, bool *ret_done, struct error *err)
{
	int status = repair_objects(server, err);

	if (status)
		return status;
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
	for (unsigned i = 0; i < server->threads_count; i++) {
		semaphore_post(server->request_semaphore);
		if (pthread_timedjoin_np(server->threads[i], NULL, &until) == 0)
			continue;
		atomic_store(&server->abandon, true);
		pthread_join(server->threads[i], NULL);
	}
	if (server->threads_count)
		attendant_refuse_all(server);
}

void server_stop(struct server *server)
{
	if (!server)
		return;
	join_threads(server);
	for (unsigned i = 0; server->decoders && i < server->options.decoders; i++)
		decoder_stop(&server->decoders[i]);
	unlink_objects(server);
	if (server->store_ready)
		store_release(&server->store);
	watch_free(server->watch);
	for (unsigned i = 0; server->response_semaphores && i < server->options.seats; i++)
		if (server->response_semaphores[i])
			sem_close(server->response_semaphores[i]);
	if (server->request_semaphore)
		sem_close(server->request_semaphore);
	for (unsigned i = 0; server->data && i < server->options.decoders; i++)
		segment_release(&server->data[i]);
	if (server->request_lock >= 0)
		close(server->request_lock);
	if (server->folder >= 0)
		close(server->folder);
	/* The lock goes with this: only now may a successor think that we are gone. */
	head_release(&server->head);
	pthread_mutex_destroy(&server->baton);
	pthread_mutex_destroy(&server->pool_lock);
	pthread_mutex_destroy(&server->names_lock);
	preload_free(server->preload);
	free(server->names);
	free(server->objects);
	free(server->response_semaphores);
	free(server->requests);
	free(server->data);
	free(server->decoders);
	free(server->decoder_busy);
	free(server->threads);
	free(server);
}
