/*
 * Whole reads and writes: no short counts, no EINTR. Descriptors that stay off 0 to 2.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Reads until `size` bytes or the end of the file; the number of bytes read, or -1 with errno. */
ssize_t read_full(int fd, void *buffer, size_t size);
ssize_t pread_full(int fd, void *buffer, size_t size, off_t offset);

/* Writes all `size` bytes; 0, or -1 with errno. */
int write_full(int fd, const void *buffer, size_t size);
int pwrite_full(int fd, const void *buffer, size_t size, off_t offset);

/*
 * Moves a new descriptor to 3 or above and returns it, or -1 with errno (also for an fd of -1). A
 * program may run with 0 to 2 closed; what it then prints must not go into an object of ours.
 */
int fd_above_standard(int fd);

/*
 * Makes 0 to 2 refer to something that can be neither read nor written (EBADF) where they are
 * closed, so that nothing opened later gets them.
 */
void fd_fill_standard(void);
