/*
 * A wait that others can end: by a flag, from any thread or signal handler, or by a hook that the
 * waiting thread itself calls around each of its sleeps.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct waiting {
	atomic_bool cancelled;
	int (*hook)(void *data, int sleeps); /* NULL: none; see shmsem_wait_hook */
	void *data;
	void (*queued)(void *data, const char *message); /* NULL: none; told of a wait for a seat */
	void *queued_data;
};

/* Before a sleep. */
static inline void waiting_begin(struct waiting *waiting)
{
	if (waiting->hook)
		waiting->hook(waiting->data, 1);
}

/* After it, however it ended; whether the hook ends the wait. */
static inline bool waiting_end(struct waiting *waiting)
{
	return waiting->hook && waiting->hook(waiting->data, 0);
}

/* Whether the flag was set, which is cleared. */
static inline bool waiting_cancelled(struct waiting *waiting)
{
	return atomic_load_explicit(&waiting->cancelled, memory_order_relaxed) &&
	       atomic_exchange(&waiting->cancelled, false);
}
