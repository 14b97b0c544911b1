/*
 * Shared-memory segments that grow and never shrink.
 *
 * The whole address range that a segment may ever need is mapped once, so pointers stay valid
 * whatever grows; only the first `size` bytes exist. Room is reserved in the file system before it
 * is written: ftruncate() alone succeeds on a full /dev/shm, and the first write then dies of
 * SIGBUS.
 */
#pragma once

#include "base/error.h"
#include "shm/shm_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct segment {
	int fd;
	uint8_t *base;   /* `reserved` bytes of address space; NULL if not mapped */
	size_t reserved; /* bytes of address space */
	size_t size;     /* bytes that exist, as far as we know */
	struct file_id id;
	uid_t owner;
};

#define SEGMENT_NONE ((struct segment){.fd = -1})

/*
 * Makes a segment without a name: `size` bytes of zeros, mapped over `reserve` bytes (0: not mapped
 * at all). Nobody can see it before segment_publish. No room: STATUS_TRY_AGAIN, saying what is
 * needed and what is free.
 */
int segment_new(size_t size, size_t reserve, const struct access *access, struct segment *ret,
	struct error *err);

/*
 * Gives it its name ("/SEG_..."), all at once. STATUS_TRY_AGAIN with os_error EEXIST if the name is
 * taken.
 */
int segment_publish(const struct segment *segment, const char *name, struct error *err);

/*
 * Opens the segment of that name, never anything but a regular file, and maps `reserve` bytes of
 * it, or what there is if `reserve` is 0. STATUS_NOT_FOUND if there is none.
 */
int segment_open(
	const char *name, bool writable, size_t reserve, struct segment *ret, struct error *err);

/*
 * Makes at least `size` bytes exist (within the reserve), rounded up to pages; also repairs what a
 * peer has cut off. No room: STATUS_TRY_AGAIN.
 */
int segment_grow(struct segment *segment, size_t size, struct error *err);

/* Whether somebody has made the segment shorter than it was. */
bool segment_truncated(const struct segment *segment);

/* Has the system give offset[0..length), whole pages, within the reserve: 0, or an errno value. */
int segment_reserve(struct segment *segment, uint64_t offset, uint64_t length);

/* The same, with an error message. No room: STATUS_TRY_AGAIN. */
int segment_back(struct segment *segment, uint64_t offset, uint64_t length, struct error *err);

/* Why mmap failed with `os_error` to map so much of it, which names RLIMIT_AS if there is one. */
int segment_map_error(int os_error, uint64_t bytes, const char *name, struct error *err);

/* Asks the kernel for the size now and keeps it in segment->size. */
int segment_refresh(struct segment *segment, struct error *err);

/* Maps the file anew at the same address, over what the guard (guard.h) may have put there. */
int segment_remap(struct segment *segment, int protection, struct error *err);

/* Unmaps and closes; the name stays. Safe on SEGMENT_NONE. */
void segment_release(struct segment *segment);

/* STATUS_TRY_AGAIN: "/dev/shm is full: <needed> needed, <free> free; ...", with the ways out. */
int segment_full(uint64_t needed, struct error *err);

/* The error message and status for a failed open of the object `name`. */
int object_open_failed(int os_error, const char *name, struct error *err);
