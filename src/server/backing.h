/*
 * What exists of the store's segments, and what somebody truncated. Making room exist and giving it
 * back to the system can take long, so these functions let go of the store's lock meanwhile; they
 * are for one thread at a time.
 */
#pragma once

#include "server/store.h"

/* The bytes exist from now on: 0, or an errno. */
int backing_reserve(struct store *store, unsigned segment, uint64_t offset, uint64_t length);

/* Gives room back as a hole, or as it is if the system does not take it: then false. */
bool backing_give_hole(struct store *store, unsigned segment, struct extent *extent);

/* Forgets what was in a segment that somebody truncated: how many images. Does not let go of the
 * lock. */
size_t backing_lost(struct store *store, unsigned segment);
