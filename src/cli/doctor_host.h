/*
 * What doctor asks of the kernel and of what confines this process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * A system call that a server needs, tried in a child of its own: some filters kill the process that
 * makes one. `index` counts from 0; NULL ends them. *ret_failed: 0, an errno, or -1 when the child was
 * killed.
 */
const char *needed_call_try(size_t index, int *ret_failed);

/* Whether an io_uring may live in memory of ours (IORING_SETUP_NO_MMAP, Linux 6.5), by which clients
 * see changes without asking: 0 or an errno. */
int shared_ring_missing(void);
