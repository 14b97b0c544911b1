/*
 * The holds of a connection, by number: taken by the thread that fetches, given back by any. Of each
 * the connection keeps 4 x its uses so far + a state, so that what was given back once, and used
 * again since, is not given back by a copy of what was held before.
 */
#pragma once

#include "base/process.h"
#include "client/connection.h"

enum hold_state {
	HOLD_FREE,
	HOLD_TAKEN,
	HOLD_RELEASING, /* by one thread, which still has to clear the hold word */
};

/* Whether the hold was free, and is taken now. */
static inline bool hold_try(struct connection *connection, unsigned hold, uint32_t *ret_use)
{
	/* Acquire: its word was cleared before. */
	uint32_t use = atomic_load_explicit(&connection->holds[hold], memory_order_acquire);

	if (use % 4 != HOLD_FREE)
		return false;
	*ret_use = use + HOLD_TAKEN;
	atomic_store_explicit(&connection->holds[hold], *ret_use, memory_order_relaxed);
	return true;
}

/*
 * Takes the hold that was given back last for the caller, who is the one that uses the connection;
 * false if it is not free. *ret_use tells this use of it from earlier and later ones.
 */
static inline bool hold_take_last(
	struct connection *connection, uint32_t *ret_hold, uint32_t *ret_use)
{
	*ret_hold = atomic_load_explicit(&connection->last_freed, memory_order_relaxed);
	return hold_try(connection, *ret_hold, ret_use);
}

/* The same with any that is free. */
static inline bool hold_take(struct connection *connection, uint32_t *ret_hold, uint32_t *ret_use)
{
	if (hold_take_last(connection, ret_hold, ret_use))
		return true;
	for (*ret_hold = 0; *ret_hold < WIRE_HOLDS; ++*ret_hold)
		if (hold_try(connection, *ret_hold, ret_use))
			return true;
	return false;
}

/* Whether numbers from a caller can be those of a hold. */
static inline bool hold_possible(unsigned hold, uint32_t use)
{
	return hold < WIRE_HOLDS && use % 4 == HOLD_TAKEN;
}

/* Whether that use of the hold has not been given back yet. */
static inline bool hold_taken(const struct connection *connection, unsigned hold, uint32_t use)
{
	return hold_possible(hold, use) && atomic_load(&connection->holds[hold]) == use;
}

/* Whether it was held by that use, and is to be released by the caller now. */
static inline bool hold_begin_release(_Atomic uint32_t *hold, uint32_t use)
{
	uint32_t expected = use;

	/* Relaxed, all: it only decides which of the copies that are released counts; the stores that
	 * follow are release stores. With one thread, nothing comes between this and those. */
	if (process_single())
		return atomic_load_explicit(hold, memory_order_relaxed) == use;
	return atomic_compare_exchange_strong_explicit(hold, &expected,
		use + HOLD_RELEASING - HOLD_TAKEN, memory_order_relaxed, memory_order_relaxed);
}

/* Gives it back after hold_begin_release; any thread. Its hold word is cleared, if there is one. */
static inline void hold_finish_release(
	struct connection *connection, unsigned hold, uint32_t use, _Atomic uint64_t *word)
{
	/* Release: the pixels were read before. */
	if (word)
		atomic_store_explicit(word, 0, memory_order_release);
	atomic_store_explicit(&connection->holds[hold], use - HOLD_TAKEN + 4, memory_order_release);
	/* Relaxed: a hint. */
	atomic_store_explicit(&connection->last_freed, hold, memory_order_relaxed);
}

/* Both, with a hold word. False if that use was given back before: then nothing happens. */
static inline bool hold_give_back(
	struct connection *connection, unsigned hold, uint32_t use, _Atomic uint64_t *word)
{
	if (!hold_possible(hold, use) || !hold_begin_release(&connection->holds[hold], use))
		return false;
	hold_finish_release(connection, hold, use, word);
	return true;
}
