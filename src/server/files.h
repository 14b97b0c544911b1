/*
 * The files below the served folder: names to open files, and what tells one version of a file from
 * another.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Two files with the same key are the same bytes, unless the file was changed just before it was
 * looked at. */
struct file_key {
	uint64_t device, inode, size;
	int64_t modified, changed; /* ns since 1970 */
};

struct resolved {
	int fd; /* open for reading, a regular file */
	struct file_key key;
	bool recent; /* changed so shortly before that another change might not show in the key */
	bool watchable;               /* by way of plain folders, and the file has no other name */
	struct watched_file *watched; /* NULL, or what watch_file gave */
	char path[1032];              /* the name with the extension that was found */
};

/* Whether a name is relative and without empty, "." or ".." parts: each file then has few names,
 * and none leads out. */
bool files_name_plain(const char *name);

/*
 * Opens the image file `name` beneath the folder: regular files only, no way out through "..",
 * links or magic links. A name without an extension also tries .jpg, .jpeg and .png. The caller
 * closes ret->fd.
 */
int files_resolve(int folder, const char *name, struct resolved *ret, struct error *err);

/* STATUS_BAD_DATA if the file is empty or has more than `most` bytes (0: no limit). */
int files_check(const struct resolved *file, uint64_t most, struct error *err);

/* Whether `path` (a resolved name) still is the file of that key; no descriptor is opened. */
bool files_unchanged(int folder, const char *path, const struct file_key *key);

/* The key as fstat says now; false if it cannot say. */
bool files_key(int fd, struct file_key *ret);

/* Whether the file has this key still, and one name only. */
bool files_one_name(int fd, const struct file_key *key);

/* Whether inotify sees every change on the file system of this folder. */
bool files_local(int folder);

/*
 * All names of image files (.png, .jpg, .jpeg) beneath the folder, sorted by bytes, each ended by a
 * NUL. *ret is heap memory of *ret_size bytes. Folders that cannot be read are left out.
 */
int files_list(int folder, char **ret, size_t *ret_size, struct error *err);
