#include "server/repair.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/process.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Calls in which each object is looked at once after names came or went; else in so many calls that
 * are to be thorough. */
#define CHECK_CALLS          3
#define CHECK_CALLS_THOROUGH 5

/* A folder that was changed before by more than a tick of the coarsest clock shows it, should it be
 * changed again. */
#define RECENT_NS (20 * NS_PER_MS)

void repair_remember(struct server *server)
{
	memcpy(&server->constants, head_server(&server->objects.head), WIRE_SERVER_CONSTANTS);
}

/* ---- semaphores ---- */

static sem_t *semaphore_of(const struct server *server, const struct published *object)
{
	if (object->kind == OBJECT_REQUEST)
		return server->objects.request;
	return object->kind == OBJECT_RESPONSE ? server->objects.responses[object->index] : NULL;
}

/* Opens the object for repair, if its name still is its own. */
static int open_object(const struct published *object)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(object->file, O_RDWR, &status);

	if (fd < 0 || !file_id_equal(file_id_of(&status), object->id))
		return -1;
	return steal_fd(&fd);
}

/* Without room or descriptors it stays as it is until the next call: waits are bounded. */
static void repair_semaphore(const struct published *object, sem_t *semaphore)
{
	AUTO_CLOSE int fd = open_object(object);
	struct stat status;
	sem_t initial;

	if (fd < 0 || fstat(fd, &status) != 0)
		return;
	sem_init(&initial, 1, 0);
	if (status.st_size < (off_t)sizeof initial &&
		pwrite_full(fd, &initial, sizeof initial, 0) != 0)
		return;
	if (!guard_hit(object->guard))
		return;
	/* A hit between the two is put right in the next call. */
	guard_clear(object->guard);
	mmap(semaphore_page(semaphore), page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		fd, 0);
}

/* ---- names ---- */

static int check_object(const struct published *object, sem_t *semaphore, struct error *err)
{
	struct stat status;

	if (published_check(object, &status, err))
		return STATUS_UNAVAILABLE;
	if (semaphore && (status.st_size < (off_t)sizeof *semaphore || guard_hit(object->guard)))
		repair_semaphore(object, semaphore);
	return STATUS_OK;
}

static uint64_t nanoseconds(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * NS_PER_SECOND + (uint64_t)time->tv_nsec;
}

/* Whether names may have come to /dev/shm or gone, or another file system stands there, since the last
 * call. */
static bool names_changed(struct server *server)
{
	struct stat status;
	struct timespec now;
	uint64_t changed;

	if (stat(SHM_DIRECTORY, &status) != 0)
		return true;
	clock_gettime(CLOCK_REALTIME, &now);
	changed = nanoseconds(&status.st_mtim);
	if (changed == server->names_changed &&
		file_id_equal(file_id_of(&status), server->names_folder))
		return false;
	server->names_changed = nanoseconds(&now) - changed > RECENT_NS ? changed : 0;
	server->names_folder = file_id_of(&status);
	return true;
}

static int check_names(struct server *server, bool thorough, struct error *err)
{
	const struct published_list *published = &server->objects.published;
	unsigned calls, count;
	int status;

	if (names_changed(server) || published_damaged(published))
		server->checks_due = CHECK_CALLS;
	if (!server->checks_due && !thorough)
		return STATUS_OK;
	calls = server->checks_due ? CHECK_CALLS : CHECK_CALLS_THOROUGH;
	count = (published->count + calls - 1) / calls;
	server->checks_due -= server->checks_due > 0;
	/* HEAD every time: without it nobody new finds us. */
	status = check_object(&published->objects[0], NULL, err);
	for (unsigned i = 0; i < count && !status; i++) {
		const struct published *object;

		server->next_check = (server->next_check + 1) % published->count;
		object = &published->objects[server->next_check];
		status = check_object(object, semaphore_of(server, object), err);
	}
	return status;
}

/* ---- HEAD ---- */

static bool head_whole(const struct server *server, bool thorough)
{
	const struct head *head = &server->objects.head;

	if (guard_hit(head->guard) || segment_truncated(&head->segment))
		return false;
	for (unsigned seat = 0; thorough && seat < head->seats; seat++)
		if (!head_seat_whole(head, seat))
			return false;
	return !memcmp(head_server(head), &server->constants, WIRE_SERVER_CONSTANTS) &&
	       atomic_load(&head_server(head)->truncations) == server->store.all_truncations;
}

/*
 * Makes a seat's page again. The state word stays as it is, so that a requester that waits on the
 * seat sees a number that is not its own. What was held where a page of holds is damaged is known to
 * nobody: such a page is made whole by the next requester on the seat.
 */
static void repair_seat(struct server *server, unsigned seat)
{
	struct wire_seat *page = head_seat(&server->objects.head, seat);

	page->version = WIRE_VERSION;
	page->seats = server->objects.head.seats;
	page->segments = server->objects.head.segments;
	page->page = (uint32_t)server->objects.head.page;
	page->instance = server->objects.head.instance;
	__atomic_store_n(&page->magic, WIRE_MAGIC, __ATOMIC_RELEASE);
}

static void repair_head(struct server *server)
{
	struct head *head = &server->objects.head;

	if (segment_grow(&head->segment, head->segment.size, NULL))
		return; /* no room now */
	if (guard_hit(head->guard)) {
		guard_clear(head->guard);
		segment_remap(&head->segment, PROT_READ | PROT_WRITE, NULL);
	}
	for (unsigned seat = 0; seat < head->seats; seat++)
		if (!head_seat_whole(head, seat))
			repair_seat(server, seat);
	memcpy(head_server(head), &server->constants, WIRE_SERVER_CONSTANTS);
	atomic_store(&head_server(head)->truncations, server->store.all_truncations);
}

int repair_objects(struct server *server, bool thorough, struct error *err)
{
	int status = check_names(server, thorough, err);

	if (status)
		return status;
	store_lock(&server->store);
	if (!head_whole(server, thorough))
		repair_head(server);
	store_unlock(&server->store);
	return STATUS_OK;
}
