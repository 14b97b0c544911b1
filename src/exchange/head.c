#include "exchange/head.h"

#include "base/cleanup.h"
#include "exchange/life.h"
#include "shm/guard.h"
#include "shm/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What HEAD says of itself, which may not be so. */
struct claims {
	uint64_t magic;
	uint32_t version, seats, segments, page;
	uint64_t instance;
};

static void read_claims(const struct head *head, struct claims *ret)
{
	wire_copy(ret, &head_seat(head, 0)->magic, sizeof *ret);
}

static int head_check(struct head *head, const char *name, struct error *err)
{
	const struct segment *segment = &head->segment;
	struct claims claims;

	if (segment->size < WIRE_PAGE || !segment->base)
		return error_set(
			err, STATUS_BAD_DATA, "'%s' is too short for a server's header", name);
	read_claims(head, &claims);
	if (claims.magic != WIRE_MAGIC)
		return error_set(
			err, STATUS_BAD_DATA, "'%s' was not made by a shmsem server", name);
	if (claims.version != WIRE_VERSION)
		return error_set(err, STATUS_BAD_DATA,
			"'%s' was made by another version of shmsem: the server speaks %u, this "
			"client %u",
			name, claims.version, WIRE_VERSION);
	if (!claims.seats || claims.seats > WIRE_SEATS_MAX || !claims.segments ||
		claims.segments > WIRE_SEGMENTS_MAX || !wire_page_possible(claims.page) ||
		wire_head_size(claims.page, claims.seats) > segment->size)
		return error_set(err, STATUS_BAD_DATA, "'%s' is damaged: %u seats in %zu bytes",
			name, claims.seats, segment->size);
	head->seats = claims.seats;
	head->segments = claims.segments;
	head->page = claims.page;
	head->instance = claims.instance;
	wire_copy(&head->reserve, &head_server(head)->reserve, sizeof head->reserve);
	if (head->reserve % head->page || head->reserve > SIZE_MAX / 2)
		return error_set(err, STATUS_BAD_DATA, "'%s' is damaged: it reserves %llu bytes",
			name, (unsigned long long)head->reserve);
	return STATUS_OK;
}

bool head_as_opened(const struct head *head)
{
	struct claims claims;
	uint64_t reserve;

	read_claims(head, &claims);
	wire_copy(&reserve, &head_server(head)->reserve, sizeof reserve);
	return claims.magic == WIRE_MAGIC && claims.version == WIRE_VERSION &&
	       claims.seats == head->seats && claims.segments == head->segments &&
	       claims.page == head->page && claims.instance == head->instance &&
	       reserve == head->reserve;
}

/* A HEAD that can be read and not written is that of a server which starts: it is opened to others
 * when all is there. */
static bool readable(const char *name)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(name + 1, O_RDONLY, &status);

	return fd >= 0;
}

/* Opens HEAD if its owner is accepted; of any other nothing is read. */
static int open_accepted(const struct name_space *space, const char *name,
	const struct server_user *accepted, struct segment *ret, struct error *err)
{
	int status = segment_open(name, true, 0, ret, err);
	struct stat file;
	bool found;

	if (status == STATUS_NOT_FOUND)
		return error_set(err, STATUS_UNAVAILABLE, "no server");
	/* A stranger's may well be closed to us. */
	found = status == STATUS_NOT_PERMITTED && shm_file_look(name + 1, &file) == 0 &&
		S_ISREG(file.st_mode);
	if (found && !server_user_accepts(accepted, file.st_uid))
		return server_user_refuse(accepted, space, file.st_uid, err);
	if (status == STATUS_NOT_PERMITTED && readable(name)) {
		status = error_set(err, STATUS_UNAVAILABLE, "the server is not ready yet");
		err->os_error = EAGAIN;
	} else if (found && err->os_error == EACCES) {
		return server_user_shut_out(space, file.st_uid, err);
	}
	if (!status && !server_user_accepts(accepted, ret->owner)) {
		status = server_user_refuse(accepted, space, ret->owner, err);
		segment_release(ret);
	}
	return status;
}

/* Finds what proves that the server lives; false if that is gone, and so the server. */
static bool find_life(struct head *head, const struct name_space *space)
{
	struct stat status;

	if (fstat(head->segment.fd, &status) != 0)
		return false;
	if (!life_open_to_others(&status))
		return true;
	head->life = life_open(space, &status, O_RDONLY);
	return head->life >= 0;
}

static int check_served(
	struct head *head, const struct name_space *space, const char *name, struct error *err)
{
	int status;

	if (!find_life(head, space) || !head_server_alive(head))
		return error_set(err, STATUS_UNAVAILABLE, "the server has died");
	status = head_check(head, name, err);
	if (status || atomic_load(&head_server(head)->ready))
		return status;
	error_set(err, STATUS_UNAVAILABLE, "the server is not ready yet");
	err->os_error = EAGAIN;
	return STATUS_UNAVAILABLE;
}

int head_open(const struct name_space *space, const struct server_user *accepted, bool guarded,
	struct head *ret, struct error *err)
{
	struct head head = HEAD_NONE;
	char name[OBJECT_NAME_SIZE];
	int status;

	object_name(space, OBJECT_HEAD, 0, name);
	status = open_accepted(space, name, accepted, &head.segment, err);
	if (status)
		return status;
	if (guarded && head.segment.base)
		head.guard = guard_add(head.segment.base, head.segment.reserved);
	status = check_served(&head, space, name, err);
	if (status) {
		head_release(&head);
		return status;
	}
	*ret = head;
	return STATUS_OK;
}

void head_release(struct head *head)
{
	guard_remove(head->guard);
	if (head->life >= 0)
		close(head->life);
	segment_release(&head->segment);
	*head = HEAD_NONE;
}

bool head_server_alive(const struct head *head)
{
	return lock_held(head->life < 0 ? head->segment.fd : head->life, WIRE_SERVER_LOCK, 1) == 1;
}

bool head_current(const struct head *head, const char *name)
{
	return shm_file_is(name + 1, head->segment.id);
}

/* ---- holds ---- */

void head_raise_mark(const struct head *head, unsigned seat, size_t hold)
{
	_Atomic uint64_t *mark = &head_hold_page(head, seat, 0)->mark;
	uint64_t seen = atomic_load_explicit(mark, memory_order_relaxed);

	/* Sequentially consistent, as the store of the word that follows: who scans reads the mark
	 * first. */
	while (seen <= hold && !atomic_compare_exchange_weak(mark, &seen, hold + 1))
		;
}

bool head_holds_whole(const struct head *head, unsigned seat)
{
	bool whole = true;

	/* The words were read before, and must not be read after their page was found whole. */
	atomic_thread_fence(memory_order_acquire);
	for (size_t hold = 0; hold < WIRE_HOLDS; hold += wire_page_holds(head->page))
		whole &= head_hold_whole(head, seat, hold);
	return whole;
}

void head_void_holds(const struct head *head, unsigned seat)
{
	size_t mark = head_holds_whole(head, seat) ? head_holds_mark(head, seat) : WIRE_HOLDS;

	for (size_t hold = 0; hold < mark; hold++)
		atomic_store(head_hold(head, seat, hold), 0);
	atomic_store(&head_hold_page(head, seat, 0)->mark, 0);
	for (size_t i = 0; i < wire_hold_pages(head->page); i++) {
		struct wire_hold_page *page = head_hold_page(head, seat, i);

		page->instance = head->instance;
		/* Release: with the magic number the words count again. */
		__atomic_store_n(&page->magic, WIRE_HOLD_MAGIC, __ATOMIC_RELEASE);
	}
}
