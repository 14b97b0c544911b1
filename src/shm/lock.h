/*
 * Open-file-description locks on single bytes: the only proof that somebody is alive. The kernel
 * drops them when the last descriptor of the open file goes, so also when its process dies. Bytes
 * need not lie inside the file.
 *
 * The file must be open for writing. A child that inherits the descriptor keeps the lock:
 * O_CLOEXEC, always.
 */
#pragma once

#include <stdint.h>

/* 0, or an errno: EAGAIN when another open file holds a byte of the range. Never waits. */
int lock_take(int fd, uint64_t offset);
int lock_drop(int fd, uint64_t offset);

/*
 * 1 if another open file holds a write lock on a byte of offset[0..length), 0 if not, -1 with errno
 * when the kernel will not say. Read locks, which a process without write permission could take, do
 * not count.
 */
int lock_held(int fd, uint64_t offset, uint64_t length);
