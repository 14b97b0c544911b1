/*
 * What this user has of inotify, which the kernel limits per user: each program's instances and
 * watches count.
 */
#pragma once

#include "shm/pids.h"

#include <stddef.h>
#include <stdint.h>

struct inotify_use {
	uint64_t instances, watches;         /* of all processes of this user that can be seen */
	uint64_t instances_max, watches_max; /* UINT64_MAX: the kernel does not say */
	int failed;                          /* errno of making one more instance, or 0 */
	pid_t most;                          /* the process with most instances; 0: none has any */
	uint64_t max_instances;
	pid_t max_watching;
	uint64_t max_watches;
};

struct inotify_use inotify_use_read(void);
