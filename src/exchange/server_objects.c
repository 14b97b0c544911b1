#include "exchange/server_objects.h"

#include "base/clock.h"
#include "base/process.h"
#include "exchange/life.h"
#include "exchange/reclaim.h"
#include "exchange/server_index.h"
#include "shm/fork.h"
#include "shm/guard.h"
#include "shm/lock.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CREATE_ATTEMPTS 8
#define LINGER_NS       (100 * NS_PER_MS)
#define LINGER_PAUSE_NS (5 * NS_PER_MS)

static void write_constants(struct server_objects *server_objects, uint64_t instance)
{
	const struct server_objects_options *options = &server_objects->options;
	struct head *head = &server_objects->head;
	struct wire_server *page;
	struct timespec now;

	head->seats = options->seats;
	head->segments = options->segments;
	head->reserve = options->reserve;
	head->instance = instance;
	for (unsigned seat = 0; seat < options->seats; seat++) {
		struct wire_seat *at = head_seat(head, seat);

		at->magic = WIRE_MAGIC;
		at->version = WIRE_VERSION;
		at->seats = options->seats;
		at->segments = options->segments;
		at->page = (uint32_t)head->page;
		at->instance = instance;
		head_void_holds(head, seat);
	}
	page = head_server(head);
	clock_gettime(CLOCK_REALTIME, &now);
	page->pid = (uint32_t)getpid();
	page->reserve = options->reserve;
	page->index_reserve = options->index_entries ? server_index_reserve(server_objects) : 0;
	page->flags = options->flags;
	page->started = (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
	atomic_store(&page->counters[WIRE_COUNT_CACHE_LIMIT], options->reserve);
}

/* A killed server's locks live on for a moment where it was just starting a decoder: until that
 * executes, it has every descriptor. */
static int reclaim_patiently(const struct name_space *space, struct error *err)
{
	const struct timespec pause = clock_timespec(LINGER_PAUSE_NS);
	uint64_t deadline = deadline_after(LINGER_NS);
	struct error cause;
	int status;

	while ((status = reclaim_namespace(space, NULL, &cause)) == STATUS_TRY_AGAIN &&
		cause.os_error == EAGAIN && clock_now() < deadline)
		nanosleep(&pause, NULL);
	return status ? error_copy(err, &cause) : STATUS_OK;
}

/* A HEAD that is complete and locked, and has no name yet. */
static int make_head(struct server_objects *server_objects, struct error *err)
{
	const struct server_objects_options *options = &server_objects->options;
	size_t page = options->page ? options->page : page_size();
	size_t size = wire_head_size(page, options->seats);
	struct segment *segment = &server_objects->head.segment;
	struct access access = access_read_only(&options->access);
	uint64_t instance = 0;
	int status, failed;

	/* Nobody but us can lock it before the first data segment is there (life.h). */
	status = segment_new(size, size, &access, segment, err);
	if (status)
		return status;
	if (getrandom(&instance, sizeof instance, GRND_NONBLOCK) < 0)
		instance = clock_now();
	server_objects->head.page = page;
	write_constants(server_objects, instance);
	failed = life_take(&segment->fd, segment);
	return failed ? error_os(err, failed, "cannot lock the header segment") : STATUS_OK;
}

/*
 * Makes the namespace ours: HEAD, complete and locked, gets its name if nobody has it. What a dead
 * responder left is removed and the attempt repeated.
 */
static int create_head(struct server_objects *server_objects, struct error *err)
{
	const struct server_objects_options *options = &server_objects->options;
	struct segment *segment = &server_objects->head.segment;
	char name[OBJECT_NAME_SIZE];
	struct error cause;
	int status;

	fork_block();
	status = make_head(server_objects, err);
	fork_unblock();
	if (status)
		return status;
	object_name(&options->space, OBJECT_HEAD, 0, name);
	for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
		status = reclaim_patiently(&options->space, err);
		if (status)
			return status;
		status = segment_publish(segment, name, &cause);
		if (!status || cause.os_error != EEXIST)
			break;
	}
	server_objects->head.guard = guard_add(segment->base, segment->reserved);
	if (status)
		return error_copy(err, &cause);
	published_add(
		&server_objects->published, &options->space, OBJECT_HEAD, 0, segment->id, NULL, 0);
	return STATUS_OK;
}

/* Opens the semaphore of that name, which is ours, and guards it. */
static int open_semaphore(struct server_objects *server_objects, const char *name,
	enum object_kind kind, unsigned index, struct file_id id, sem_t **ret, struct error *err)
{
	int status = semaphore_open(name, ret, err);

	published_add(&server_objects->published, &server_objects->options.space, kind, index, id,
		status ? NULL : semaphore_page(*ret), page_size());
	return status;
}

static int create_response(struct server_objects *server_objects, unsigned index, struct error *err)
{
	char name[OBJECT_NAME_SIZE];
	struct file_id id;
	int status;

	object_name(&server_objects->options.space, OBJECT_RESPONSE, index, name);
	status = semaphore_create(name, &server_objects->options.access, &id, err);
	if (status)
		return status;
	return open_semaphore(server_objects, name, OBJECT_RESPONSE, index, id,
		&server_objects->responses[index], err);
}

/* The lock on REQ's own file tells it from a classic namespace's, should HEAD ever be missing. It is
 * taken before REQ has a name: nobody can be faster. */
static int create_request(struct server_objects *server_objects, struct error *err)
{
	char name[OBJECT_NAME_SIZE];
	struct file_id id;
	int status, failed;

	object_name(&server_objects->options.space, OBJECT_REQUEST, 0, name);
	status = semaphore_new(
		name, &server_objects->options.access, &server_objects->request_lock, err);
	if (status)
		return status;
	failed = life_take(&server_objects->request_lock, NULL);
	if (failed)
		return error_os(err, failed, "cannot lock the request semaphore");
	status = semaphore_publish(server_objects->request_lock, name, &id, err);
	if (status)
		return status;
	return open_semaphore(
		server_objects, name, OBJECT_REQUEST, 0, id, &server_objects->request, err);
}

static int create_data(struct server_objects *server_objects, unsigned index, struct error *err)
{
	const struct server_objects_options *options = &server_objects->options;
	struct segment *segment = &server_objects->data[index];
	struct access access = access_read_only(&options->access);
	int status;

	status = segment_new(server_objects->head.page, options->map_data ? options->reserve : 0,
		&access, segment, err);
	if (status)
		return status;
	return published_segment(&server_objects->published, &options->space, segment, OBJECT_DATA,
		index, true, err);
}

/* Leaves out what grants read only: users who cannot write cannot ask, but could take read locks,
 * which keep others from the locks that they need. */
static mode_t usable_mode(mode_t mode)
{
	mode_t writers = mode & 0222;

	return mode & (writers | writers << 1);
}

/* All but HEAD. */
static int create_rest(struct server_objects *server_objects, struct error *err)
{
	const struct server_objects_options *options = &server_objects->options;
	int status = create_request(server_objects, err);

	for (unsigned i = 0; i < options->seats && !status; i++)
		status = create_response(server_objects, i, err);
	for (unsigned i = 0; i < options->segments && !status; i++)
		status = create_data(server_objects, i, err);
	if (status || !options->index_entries)
		return status;
	status = server_index_create(server_objects, err);
	if (!status)
		server_index_announce(server_objects);
	return status;
}

int server_objects_create(struct server_objects *server_objects,
	const struct server_objects_options *options, struct error *err)
{
	int status;

	*server_objects = SERVER_OBJECTS_NONE;
	server_objects->options = *options;
	server_objects->options.access.mode = usable_mode(options->access.mode);
	server_objects->responses = calloc(options->seats, sizeof *server_objects->responses);
	server_objects->data = calloc(options->segments, sizeof *server_objects->data);
	if (!published_init(&server_objects->published, 3 + options->seats + options->segments) ||
		!server_objects->responses || !server_objects->data)
		return error_os(
			err, ENOMEM, "cannot create the objects of '%s'", options->space.text);
	for (unsigned i = 0; i < options->segments; i++)
		server_objects->data[i] = SEGMENT_NONE;

	status = create_head(server_objects, err);
	if (status)
		return status;
	/* A child that got one before it is hidden would keep its lock. */
	fork_block();
	status = create_rest(server_objects, err);
	fork_unblock();
	return status;
}

int server_objects_ready(struct server_objects *server_objects, struct error *err)
{
	atomic_store(&head_server(&server_objects->head)->ready, 1);
	if (fchmod(server_objects->head.segment.fd, server_objects->options.access.mode) == 0)
		return STATUS_OK;
	return error_os(err, errno, "cannot open the header segment to requesters");
}

bool server_objects_damaged(const struct server_objects *server_objects)
{
	return guard_hit(server_objects->head.guard) || guard_hit(server_objects->index.guard) ||
	       published_damaged(&server_objects->published);
}

int server_objects_check(const struct server_objects *server_objects, struct error *err)
{
	struct stat status;

	return published_check(&server_objects->published.objects[0], &status, err);
}

void server_objects_withdraw(struct server_objects *server_objects)
{
	/* For ever: nothing is found from now on. */
	if (server_objects->index.segment.base)
		index_shut(&server_objects->index);
	published_unlink(&server_objects->published);
}

void server_objects_disown(struct server_objects *server_objects)
{
	server_objects->published.count = 0;
	server_objects->head.segment.base = server_objects->index.segment.base = NULL;
	for (unsigned i = 0; server_objects->data && i < server_objects->options.segments; i++)
		server_objects->data[i].base = NULL;
}

void server_objects_release(struct server_objects *server_objects)
{
	const struct server_objects_options *options = &server_objects->options;

	for (unsigned i = 0; server_objects->responses && i < options->seats; i++)
		if (server_objects->responses[i])
			semaphore_close(server_objects->responses[i]);
	if (server_objects->request)
		semaphore_close(server_objects->request);
	fork_block();
	for (unsigned i = 0; server_objects->data && i < options->segments; i++) {
		fork_keep(&server_objects->data[i].fd);
		segment_release(&server_objects->data[i]);
	}
	server_index_release(server_objects);
	fork_keep(&server_objects->request_lock);
	fork_keep(&server_objects->head.segment.fd);
	if (server_objects->request_lock >= 0)
		close(server_objects->request_lock);
	head_release(&server_objects->head);
	fork_unblock();
	published_release(&server_objects->published);
	free(server_objects->responses);
	free(server_objects->data);
	*server_objects = SERVER_OBJECTS_NONE;
}
