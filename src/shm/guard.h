/*
 * SIGBUS, which is what touching a mapping gives when somebody has truncated the file under it.
 *
 * A guarded range that is hit gets private zero pages from the faulting page to its end, and
 * remembers that: the access goes on, reads zeros, and the caller of guard_hit() afterwards knows
 * that what it read is not what was there. Any other SIGBUS goes to the handler that was there
 * before.
 *
 * All functions may be called from any thread. At most GUARD_RANGES ranges at a time.
 */
#pragma once

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_RANGES 4096

/* Installs the handler, once a process; later calls do nothing. */
int guard_install(struct error *err);

/* Guards base[0..size), page-aligned. The returned number names the range; -1 when GUARD_RANGES are
 * in use. */
int guard_add(void *base, size_t size);

/* Forgets a range, before it is unmapped; -1 is ignored. */
void guard_remove(int range);

/* Written while forks are blocked, so that no child has a row half written; read by the handler at any
 * time: `end` is 0 while a row is free or being changed. */
struct guard_range {
	_Atomic uintptr_t base, end;
	atomic_bool hit;
};

extern struct guard_range guard_ranges[GUARD_RANGES];

/* Whether the range was hit since it was added or last cleared; -1 is never hit. */
static inline bool guard_hit(int range)
{
	return range >= 0 && atomic_load(&guard_ranges[range].hit);
}

void guard_clear(int range);
