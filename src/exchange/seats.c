#include "exchange/seats.h"

#include "base/clock.h"
#include "shm/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A requester in the queue looks at the seats when it is woken, and only whether the server lives
 * this often. */
#define SEAT_SLICE_NS (100 * NS_PER_MS)

/* After so long a wait is said to be one. */
#define SEAT_SAY_NS NS_PER_SECOND

#define TICKETS_TAKEN_MAX 1024

/* A queue head that ignores a free seat this long is presumed stopped; the others pass. */
#define SEAT_GRACE_NS (500 * NS_PER_MS)

/* Makes the page ours: its last holder may have left a request that is still being answered. */
static void seat_reset(const struct head *head, unsigned seat)
{
	struct wire_seat *page = head_seat(head, seat);
	uint64_t sequence = WIRE_SEQUENCE(atomic_load(&page->state_word)) + 1;

	atomic_store(&page->state_word, WIRE_STATE_WORD(sequence, WIRE_IDLE));
	wire_count(&head_seat_counters(head, seat)->resets, 1);
	head_void_holds(head, seat);
}

/* Takes a seat that is free, first the one that was given back last. */
static bool seat_try(const struct head *head, unsigned *ret)
{
	unsigned first = atomic_load(&head_server(head)->free_seat) % head->seats;

	for (unsigned i = 0; i < head->seats; i++) {
		unsigned seat = (first + i) % head->seats;

		if (lock_take(head->segment.fd, head_seat_lock(head, seat)) != 0)
			continue;
		seat_reset(head, seat);
		*ret = seat;
		return true;
	}
	return false;
}

static void wake_queue(struct wire_server *server, uint32_t bits)
{
	atomic_fetch_add(&server->free_seats, 1);
	syscall(SYS_futex, &server->free_seats, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, bits);
}

/* Wakes the requester that waits with that ticket. */
static void seat_wake(struct wire_server *server, uint64_t ticket)
{
	wake_queue(server, UINT32_C(1) << ticket % 32);
}

/* A requester in the queue for a seat. */
struct queued {
	const struct head *head;
	struct waiting *waiting;
	uint64_t ticket, begun;
	/* Since when a seat has been free and the same one first in the queue, as far as it has
	 * seen; 0: that is not so. */
	uint64_t free_since;
	uint32_t first;
	bool said; /* that it waits */
};

/* Tickets wrap far below the end of the lock range; a hostile counter, or one that began anew after
 * HEAD was truncated, can only make the queue unfair. */
static int queue_enter(struct queued *queued, struct error *err)
{
	struct wire_server *server = head_server(queued->head);

	for (unsigned taken = 0; taken <= TICKETS_TAKEN_MAX; taken++) {
		int failed;

		queued->ticket = atomic_fetch_add(&server->ticket, 1) & UINT32_MAX;
		failed = lock_take(queued->head->segment.fd, WIRE_QUEUE_LOCK + queued->ticket);
		if (!failed)
			return STATUS_OK;
		if (failed != EAGAIN)
			break;
	}
	return error_set(err, STATUS_TRY_AGAIN, "the queue for a seat is damaged");
}

static void queue_leave(const struct queued *queued)
{
	lock_drop(queued->head->segment.fd, WIRE_QUEUE_LOCK + queued->ticket);
	/* The next in the queue may have been waiting for us, not for a seat. */
	seat_wake(head_server(queued->head), queued->ticket + 1);
}

static bool queue_first(const struct queued *queued)
{
	return !queued->ticket ||
	       lock_held(queued->head->segment.fd, WIRE_QUEUE_LOCK, queued->ticket) <= 0;
}

static bool seat_free(const struct head *head)
{
	unsigned seat = 0;

	while (seat < head->seats &&
		lock_held(head->segment.fd, head_seat_lock(head, seat), 1) != 0)
		seat++;
	return seat < head->seats;
}

/* Whether the first in the queue has left a free seat alone for SEAT_GRACE_NS. */
static bool seat_skipped(struct queued *queued, uint64_t now)
{
	uint32_t first = atomic_load(&head_server(queued->head)->first_ticket);
	bool moved = first != queued->first;

	queued->first = first;
	if (!seat_free(queued->head))
		queued->free_since = 0;
	else if (moved || !queued->free_since)
		queued->free_since = now;
	return queued->free_since && now - queued->free_since >= SEAT_GRACE_NS;
}

static void say_waiting(struct queued *queued, uint64_t now)
{
	const struct waiting *waiting = queued->waiting;
	char message[ERROR_TEXT_SIZE];

	if (queued->said || !waiting || !waiting->queued || now - queued->begun < SEAT_SAY_NS)
		return;
	queued->said = true;
	snprintf(message, sizeof message,
		"all %u seats are taken, waiting for one; the server's --seats gives more",
		queued->head->seats);
	waiting->queued(waiting->queued_data, message);
}

/* Sleeps until a seat may be free, or it is time to look; whether the hook ended the wait. */
static bool queue_sleep(const struct queued *queued, uint32_t seen, uint64_t deadline)
{
	uint64_t until = clock_now() + SEAT_SLICE_NS;
	struct timespec end = clock_timespec(until < deadline ? until : deadline);

	if (queued->waiting)
		waiting_begin(queued->waiting);
	syscall(SYS_futex, &head_server(queued->head)->free_seats, FUTEX_WAIT_BITSET, seen, &end,
		NULL, UINT32_C(1) << queued->ticket % 32);
	return queued->waiting && waiting_end(queued->waiting);
}

/* Takes a free seat, if this one is the next to get one. */
static bool queue_look(struct queued *queued, uint64_t now, unsigned *ret_seat)
{
	bool first = queue_first(queued);

	if (first)
		atomic_store(&head_server(queued->head)->first_ticket, (uint32_t)queued->ticket);
	return (first || seat_skipped(queued, now)) && seat_try(queued->head, ret_seat);
}

static int queue_wait(
	struct queued *queued, uint64_t deadline, unsigned *ret_seat, struct error *err)
{
	const struct head *head = queued->head;
	uint32_t seen = 0;

	for (bool begun = false;; begun = true) {
		uint32_t before = seen;
		uint64_t now = clock_now();

		seen = atomic_load(&head_server(head)->free_seats);
		if ((!begun || seen != before) && queue_look(queued, now, ret_seat))
			return STATUS_OK;
		if (!head_server_alive(head))
			return error_set(err, STATUS_UNAVAILABLE, "the server has died");
		if (queued->waiting && waiting_cancelled(queued->waiting))
			return error_cancelled(err, "cancelled while waiting for a seat");
		if (now >= deadline)
			return error_set(err, STATUS_TRY_AGAIN,
				"all %u seats are taken; the server's --seats gives more",
				head->seats);
		say_waiting(queued, now);
		if (queue_sleep(queued, seen, deadline))
			return error_cancelled(err, "interrupted while waiting for a seat");
	}
}

int seat_claim(const struct head *head, uint64_t deadline, struct waiting *waiting,
	unsigned *ret_seat, struct error *err)
{
	struct queued queued = {.head = head, .waiting = waiting, .begun = clock_now()};
	int status;

	if (lock_held(head->segment.fd, WIRE_QUEUE_LOCK, WIRE_QUEUE_LOCK) == 0 &&
		seat_try(head, ret_seat))
		return STATUS_OK;
	status = queue_enter(&queued, err);
	if (status)
		return status;
	status = queue_wait(&queued, deadline, ret_seat, err);
	queue_leave(&queued);
	return status;
}

void seat_release(const struct head *head, unsigned seat)
{
	struct wire_server *server = head_server(head);

	seat_reset(head, seat);
	atomic_store(&server->free_seat, seat);
	lock_drop(head->segment.fd, head_seat_lock(head, seat));
	seat_wake(server, atomic_load(&server->first_ticket));
}

void seats_reclaim(const struct head *head)
{
	for (unsigned seat = 0; seat < head->seats; seat++)
		if ((head_holds_mark(head, seat) || !head_holds_whole(head, seat)) &&
			lock_take(head->segment.fd, head_seat_lock(head, seat)) == 0)
			seat_release(head, seat);
}

bool seats_remind(const struct head *head)
{
	bool queued = lock_held(head->segment.fd, WIRE_QUEUE_LOCK, WIRE_QUEUE_LOCK) == 1;

	if (queued && seat_free(head))
		wake_queue(head_server(head), UINT32_MAX);
	return queued;
}
