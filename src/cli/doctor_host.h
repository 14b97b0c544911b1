/*
 * What doctor asks of the kernel and of whoever confines this process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The lowest memory limit of the control groups that this process is in (cgroup v2, memory.max), by
 * what is mounted at /sys/fs/cgroup, below `root` ("" for the system's own); UINT64_MAX: none.
 */
uint64_t cgroup_memory_limit(const char *root);

/*
 * A system call that a server needs, tried in a child of its own: some filters kill whoever makes
 * one. `index` counts from 0; NULL ends them. *ret_failed: 0, an errno, or -1 when the child was
 * killed.
 */
const char *needed_call_try(size_t index, int *ret_failed);

/* Whether an io_uring may live in memory of ours (IORING_SETUP_NO_MMAP, Linux 6.5), by which clients
 * see changes without asking: 0 or an errno. */
int shared_ring_missing(void);
