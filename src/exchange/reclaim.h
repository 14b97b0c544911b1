/*
 * Removing what a dead server left of its namespace: what `serve` does before it starts, and
 * `cleanup` everywhere.
 *
 * HEAD is the anchor: as long as one has the name, nobody else creates in the namespace, and a
 * server that lives holds the lock on it. So a process that takes the locks of a dead HEAD, and then still
 * finds it under its name, is alone with the rest, removes that first and HEAD last. Killed at any
 * point, it leaves something that the next one can take up.
 */
#pragma once

#include "base/error.h"
#include "shm/names.h"

#include <stdbool.h>
#include <stdint.h>

struct reclaim {
	bool any_owner; /* also what belongs to other users, as far as the kernel lets us */
	/* Told of each object: the memory it used, and 0 or the errno for which it stays. May be
	 * NULL.
	 */
	void (*tell)(void *context, const char *file, uint64_t bytes, int failed);
	void *context;
};

/*
 * Empties a namespace that no server uses; STATUS_OK also if there is nothing in it.
 *
 * STATUS_TRY_AGAIN: a server lives there (os_error EAGAIN), somebody else is cleaning for too long
 * (os_error EBUSY), or what is there was made by other programs that know nothing of locks, a
 * classic namespace (os_error EEXIST).
 * STATUS_NOT_PERMITTED: the name of HEAD is taken by somebody else or by something that is no
 * segment, or some of the objects could not be removed; the message names the first.
 *
 * `reclaim` may be NULL: only what belongs to this user, telling nobody.
 */
int reclaim_namespace(
	const struct name_space *space, const struct reclaim *reclaim, struct error *err);
