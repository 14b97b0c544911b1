/*
 * Whole reads and writes: no short counts, no EINTR.
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
