/*
 * What a child of fork() must not inherit: a file that is locked. Its locks last as long as any
 * process has it open or mapped, so a child that lives on would keep its dead parent alive for
 * everybody else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Between these no other thread of the process forks, and no signal handler runs but for faults: a
 * child that was made between the opening of a file and fork_hide would have it. They may be nested.
 */
void fork_block(void);
void fork_unblock(void);

/*
 * In children forked from now on *fd is closed and -1, and base[0..size) is not mapped (base may be
 * NULL). False when out of memory. `fd` must stay where it is until fork_keep.
 */
bool fork_hide(int *fd, void *base, size_t size);

/* Ends that, before *fd is closed; what was never hidden is ignored. */
void fork_keep(const int *fd);
