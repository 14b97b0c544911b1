#include "exchange/seats.h"

#include "base/clock.h"
#include "shm/guard.h"
#include "shm/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEAT_POLL_NS      (20 * NS_PER_MS)
#define TICKETS_TAKEN_MAX 1024

/* Whoever is first in the queue and leaves a free seat alone for so long is stopped, or as good as:
 * those behind it pass. */
#define SEAT_GRACE_NS (500 * NS_PER_MS)

/* What HEAD says of itself, which may not be so. */
struct claims {
	uint64_t magic;
	uint32_t version, seats, segments;
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
		claims.segments > WIRE_SEGMENTS_MAX || wire_head_size(claims.seats) > segment->size)
		return error_set(err, STATUS_BAD_DATA, "'%s' is damaged: %u seats in %zu bytes",
			name, claims.seats, segment->size);
	head->seats = claims.seats;
	head->segments = claims.segments;
	wire_copy(&head->reserve, &head_server(head)->reserve, sizeof head->reserve);
	if (head->reserve % WIRE_PAGE || head->reserve > SIZE_MAX / 2)
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
	       reserve == head->reserve;
}

int head_open(const char *name, bool guarded, struct head *ret, struct error *err)
{
	struct head head = HEAD_NONE;
	int status = segment_open(name, true, 0, &head.segment, err);

	if (status == STATUS_NOT_FOUND)
		return error_set(err, STATUS_UNAVAILABLE, "no server");
	if (status)
		return status;
	if (guarded && head.segment.base)
		head.guard = guard_add(head.segment.base, head.segment.reserved);
	if (!head_server_alive(&head))
		status = error_set(err, STATUS_UNAVAILABLE, "the server has died");
	if (!status)
		status = head_check(&head, name, err);
	if (!status && !atomic_load(&head_server(&head)->ready))
		status = error_set(err, STATUS_UNAVAILABLE, "the server is not ready yet");
	if (status)
		head_release(&head);
	else
		*ret = head;
	return status;
}

void head_release(struct head *head)
{
	guard_remove(head->guard);
	segment_release(&head->segment);
	*head = HEAD_NONE;
}

bool head_server_alive(const struct head *head)
{
	return lock_held(head->segment.fd, WIRE_SERVER_LOCK, 1) == 1;
}

bool head_current(const struct head *head, const char *name)
{
	return shm_file_is(name + 1, head->segment.id);
}

/* Makes the page ours: whoever had it may have left a request that is still being answered. */
static void seat_reset(const struct head *head, unsigned seat)
{
	struct wire_seat *page = head_seat(head, seat);
	uint64_t sequence = WIRE_SEQUENCE(atomic_load(&page->state_word)) + 1;

	atomic_store(&page->state_word, WIRE_STATE_WORD(sequence, WIRE_IDLE));
	for (size_t i = 0; i < WIRE_HOLDS; i++)
		atomic_store(&page->holds[i], 0);
}

static bool seat_try(const struct head *head, unsigned *ret)
{
	for (unsigned seat = 0; seat < head->seats; seat++)
		if (lock_take(head->segment.fd, wire_seat_lock(seat)) == 0) {
			seat_reset(head, seat);
			*ret = seat;
			return true;
		}
	return false;
}

/* What somebody in the queue has seen of free seats; all 0 at first. */
struct free_seat {
	uint64_t since, looked;
};

/* Whether a seat has been free for SEAT_GRACE_NS, as far as the caller has seen. */
static bool seat_skipped(const struct head *head, struct free_seat *seen)
{
	uint64_t now = clock_now();
	unsigned seat = 0;

	/* Whoever waits is woken by each seat that is given back. */
	if (now - seen->looked < SEAT_POLL_NS)
		return false;
	seen->looked = now;
	while (seat < head->seats && lock_held(head->segment.fd, wire_seat_lock(seat), 1) != 0)
		seat++;
	if (seat == head->seats)
		seen->since = 0;
	else if (!seen->since)
		seen->since = now;
	return seen->since && now - seen->since >= SEAT_GRACE_NS;
}

/* Whether the wait was ended by its hook. */
static bool wait_for_free_seat(const struct head *head, uint32_t seen, struct waiting *waiting)
{
	struct timespec turn = clock_timespec(SEAT_POLL_NS);

	if (waiting)
		waiting_begin(waiting);
	syscall(SYS_futex, &head_server(head)->free_seats, FUTEX_WAIT, seen, &turn, NULL, 0);
	return waiting && waiting_end(waiting);
}

int seat_claim(const struct head *head, uint64_t deadline, struct waiting *waiting,
	unsigned *ret_seat, struct error *err)
{
	int fd = head->segment.fd, status = STATUS_OK;
	struct wire_server *server = head_server(head);
	struct free_seat free_seat = {0};
	uint64_t ticket;
	unsigned taken = 0;
	int failed;

	if (lock_held(fd, WIRE_QUEUE_LOCK, WIRE_QUEUE_LOCK) == 0 && seat_try(head, ret_seat))
		return STATUS_OK;

	/* Tickets wrap far below the end of the lock range; a hostile counter, or one that began
	 * anew after HEAD was truncated, can only make the queue unfair. */
	do
		ticket = atomic_fetch_add(&server->ticket, 1) & UINT32_MAX;
	while ((failed = lock_take(fd, WIRE_QUEUE_LOCK + ticket)) == EAGAIN &&
		++taken <= TICKETS_TAKEN_MAX);
	if (failed)
		return error_set(err, STATUS_TRY_AGAIN, "the queue for a seat is damaged");
	for (;;) {
		uint32_t seen = atomic_load(&server->free_seats);
		int earlier = ticket ? lock_held(fd, WIRE_QUEUE_LOCK, ticket) : 0;

		if ((earlier <= 0 || seat_skipped(head, &free_seat)) && seat_try(head, ret_seat))
			break;
		if (!head_server_alive(head))
			status = error_set(err, STATUS_UNAVAILABLE, "the server has died");
		else if (waiting && waiting_cancelled(waiting))
			status = error_cancelled(err, "cancelled while waiting for a seat");
		else if (clock_now() >= deadline)
			status = error_set(err, STATUS_TRY_AGAIN,
				"all %u seats are taken; the server's --seats gives more",
				head->seats);
		else if (wait_for_free_seat(head, seen, waiting))
			status = error_cancelled(err, "interrupted while waiting for a seat");
		if (status)
			break;
	}
	lock_drop(fd, WIRE_QUEUE_LOCK + ticket);
	/* The next in the queue may have been waiting for us, not for a seat. */
	atomic_fetch_add(&server->free_seats, 1);
	syscall(SYS_futex, &server->free_seats, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return status;
}

void seat_release(const struct head *head, unsigned seat)
{
	seat_reset(head, seat);
	lock_drop(head->segment.fd, wire_seat_lock(seat));
	atomic_fetch_add(&head_server(head)->free_seats, 1);
	syscall(SYS_futex, &head_server(head)->free_seats, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
