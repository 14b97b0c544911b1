/*
 * Seats, from the requester's side: a page of HEAD each, held by a lock that the kernel drops when
 * the holder dies.
 */
#pragma once

#include "base/error.h"
#include "base/waiting.h"
#include "exchange/head.h"

/*
 * Takes a free seat, queueing behind those who came earlier, until `deadline`. Clears what its last
 * holder left. STATUS_TRY_AGAIN when no seat came free, STATUS_UNAVAILABLE when the server died.
 * `waiting`, if not NULL, can end the wait, and is told after a second that there is one.
 */
int seat_claim(const struct head *head, uint64_t deadline, struct waiting *waiting,
	unsigned *ret_seat, struct error *err);

/*
 * Gives up the seats of requesters that died holding something. For the server, about once a second
 * (every two seconds while nobody asks), and when there is no room. For one thread at a time: two would share the lock of a seat that they
 * take, and one could void the holds of the requester that takes it next.
 */
void seats_reclaim(const struct head *head);

/* Wakes requesters that wait for a seat while there is a free one, as who died wakes nobody. For the
 * server, a few times a second. Whether somebody waits. */
bool seats_remind(const struct head *head);

/* Gives the seat and all that is held on it back, and wakes those that wait for one. */
void seat_release(const struct head *head, unsigned seat);
