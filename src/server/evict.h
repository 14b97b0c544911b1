/*
 * Which images make way when the store needs space.
 */
#pragma once

#include "exchange/request.h"
#include "server/store.h"

/*
 * The segment that a decode had best go to, of those whose decoders are not busy: where lies what
 * was used longest ago, or, as long as nothing had to make way, which is the smallest. -1 if all
 * are busy. What was held when room was last made is not counted.
 */
int evict_choose_segment(const struct store *store, const bool *busy);

/* What is held now; free ret->numbers. False when out of memory. */
bool evict_collect(const struct store *store, struct held *ret);

/*
 * Makes room for `bytes` (whole pages, not more than the budget) in a segment, evicting what it
 * takes, but nothing of `held`, which is looked at anew when something was taken out of the index
 * for it, and nothing of the window if the room is for an image that is decoded `ahead`. How many bytes of holes the room has; UINT64_MAX, with nothing evicted, if it cannot be
 * had. Taking it may exceed the budget; then there are enough backed bytes elsewhere
 * that can be given back to the system. *ret_first is for arena_take.
 */
uint64_t evict_make_room(struct store *store, struct held *held, unsigned segment, uint64_t bytes,
	bool ahead, struct extent **ret_first);

/* Evicts the image that was used longest ago of those that nobody holds, one of the window last, and
 * none of that if the room is for one that is decoded `ahead`; false if there is none. */
bool evict_oldest(struct store *store, struct held *held, bool ahead);
