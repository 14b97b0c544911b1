/*
 * Files without a name, as the processes that hold them show them: collected one by one, each kept
 * once.
 */
#pragma once

#include "inventory/holders.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct nameless_list {
	struct nameless *items;
	size_t count, room;
};

/* Which device the kernel's memfds are on; 0 if that cannot be told. */
dev_t nameless_memfd_device(void);

/*
 * Notes a file whose path, as /proc shows it, is `path` (`length` bytes): "/dev/shm/x (deleted)",
 * "/memfd:x (deleted)". `status` may be NULL: then `mapped` bytes of it are all that is known.
 * Other paths are passed over. False when out of memory.
 */
bool nameless_note(struct nameless_list *list, struct file_id file, const char *path, size_t length,
	const struct statx *status, uint64_t mapped);

/* Keeps each once, the one of which most is known. */
void nameless_settle(struct nameless_list *list);
