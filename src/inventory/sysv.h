/*
 * System V segments, semaphore sets and message queues of this IPC namespace.
 *
 * The kernel counts who is attached to a segment, wherever they run. Who made or last used an
 * object it remembers as a pid, translated into our PID namespace, 0 if it has none there.
 */
#pragma once

#include "base/error.h"
#include "inventory/holders.h"
#include "inventory/objects.h"

/* Adds all of them, by kind and id; nothing is judged yet. */
int sysv_read(struct objects *objects, struct error *err);

/* Fills in holders, state and why of each System V object. */
void sysv_judge(struct objects *objects, const struct holders *holders);

/* The value of the first semaphore of a set; -1 for all else. */
int64_t sysv_value(const struct object *object);

/* Removes it, if it is still as unused as when it was judged; 0, or an errno: EBUSY if it is in
 * use again, EINVAL or EIDRM if it is gone. */
int sysv_remove(const struct object *object);
