/*
 * What a bench that was killed may have left behind, and how the next one knows: it removes that
 * before it measures.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

/* How the names begin of all that bench makes, but for what its server publishes. */
#define TEMPORARY_PREFIX "shmsem-bench-"

/*
 * Makes a new folder below $TMPDIR, or /tmp, and holds its lock as long as this process and those
 * it forks live. temporary_remove_folder removes it with all the files in it.
 */
int temporary_folder(char *path, size_t size, int *ret_lock, struct error *err);
void temporary_remove_folder(const char *path, int *lock);

/*
 * Removes from /dev/shm and $TMPDIR what is this user's and nobody's any more: folders that nobody
 * holds the lock of, and objects that are a minute old, for they have names only until both sides
 * have opened them. What a killed server has published is for 'shmsem cleanup'.
 */
void temporary_remove_stale(void);
