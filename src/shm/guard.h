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

#include <stdbool.h>
#include <stddef.h>

#define GUARD_RANGES 4096

/* Installs the handler, once a process; later calls do nothing. */
int guard_install(struct error *err);

/* Guards base[0..size), page-aligned. The returned number names the range; -1 when GUARD_RANGES are
 * in use. */
int guard_add(void *base, size_t size);

/* Forgets a range, before it is unmapped; -1 is ignored. */
void guard_remove(int range);

/* Whether the range was hit since it was added or last cleared; -1 is never hit. */
bool guard_hit(int range);
void guard_clear(int range);
