/*
 * What may block: the mounts at and below the served folder, and how the server opens files itself
 * without ever waiting for a file system.
 *
 * On the mount of the folder itself, if its type answers from memory and local disks, what the
 * kernel has cached is opened at once; everything else is a helper's to open (blocking.h).
 * A mount below the folder is never entered.
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

/* The rules of openat2(2) by which an open below the folder does not block. */
uint64_t mount_table_rules(const struct mount_table *mounts);

/* The mount of the folder. */
int mount_table_own(const struct mount_table *mounts);

/* The mount that a plain name below the folder leads to, symbolic links aside. Looks at the list of
 * mounts again if it has changed. */
int mount_table_of(struct mount_table *mounts, const char *name);

/* As files_resolve, without blocking: false if only a helper can tell. */
bool mount_table_resolve(const struct mount_table *mounts, const char *name, struct resolved *ret,
	int *ret_status, struct error *err);
