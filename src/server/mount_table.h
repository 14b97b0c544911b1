/*
 * What may block: the mounts at and below the served folder, and how the server opens files itself
 * without ever waiting for a file system.
 *
 * On the mount of the folder itself, if its type answers from memory and local disks, and on mounts
 * below it where that is so of all on the way, what the kernel has cached is opened at once;
 * everything else is a helper's to open (blocking.h). No other mount is ever entered.
 *
 * All functions may be called from any thread: the table has a lock of its own, under which no other
 * is taken.
 */
#pragma once

#include "base/error.h"
#include "server/files.h"

#include <stdbool.h>
#include <stdint.h>

struct mount_table;

/* Looks at the mount of `folder`, a descriptor that stays the caller's. */
int mount_table_new(int folder, struct mount_table **ret, struct error *err);
struct mount_table *mount_table_free(struct mount_table *mounts);

/* Whether the file system of the folder may block: no file is opened by the server itself. */
bool mount_table_all_block(const struct mount_table *mounts);

/* Another number than before if there are other mounts. Looks at the list of mounts again if it has
 * changed. */
uint64_t mount_table_generation(struct mount_table *mounts);

/* The mount of the folder. */
int mount_table_own(const struct mount_table *mounts);

/* The mount that a plain name below the folder leads to, symbolic links aside. */
int mount_table_of(struct mount_table *mounts, const char *name);

/* As files_resolve, without blocking: false if only a helper can tell. */
bool mount_table_resolve(struct mount_table *mounts, const char *name, struct resolved *ret,
	int *ret_status, struct error *err);

/* As files_unchanged; false also if only a helper can tell. */
bool mount_table_unchanged(
	struct mount_table *mounts, const char *path, const struct file_key *key);

/* Whether a name that is not on the folder's own mount is on one that does not block. */
bool mount_table_local(struct mount_table *mounts, const char *name);

/* Opens a folder (O_PATH), no symbolic link being on the way to it; "" is the folder itself. -1 if
 * that might block. */
int mount_table_open_folder(struct mount_table *mounts, const char *path);
