/*
 * What can be relied on where a file or folder is.
 */
#pragma once

#include <stdbool.h>

/* Whether inotify sees every change on the file system of this open file. */
bool file_system_local(int fd);

/* Whether names in that folder may be spelled in several ways (FAT, casefolded folders), as far as
 * that can be said. */
bool file_system_folds(int folder);

/* Whether that file system is in memory only: tmpfs or ramfs. */
bool file_system_in_memory(int fd);
