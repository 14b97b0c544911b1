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
	int fd;             /* open for reading, a regular file */
	uint64_t opened_at; /* clock.h, before that */
	bool copied;        /* fd is a copy of it in memory */
	int refused;        /* errno of an open that the rules ended: EAGAIN or EXDEV; 0 */
	struct file_key key;
	uint64_t offset,
		size; /* of the image in the file: 0 and all of it, unless it is in a shard */
	size_t shard; /* length of the shard's own name in `path`; 0: it is a plain file */
	bool listed;  /* only a list of names needs it (shards.h) */
	bool recent;  /* changed so shortly before that another change might not show in the key */
	bool watchable; /* on a local file system, by way of plain folders, and it has no other name
			   */
	struct watched_file *watched; /* NULL, or what watch_file gave */
	char path[1032];              /* the name with the extension that was found */
};

/* Whether a name is relative and without empty, "." or ".." parts: each file then has few names,
 * and none leads out. */
bool files_name_plain(const char *name);

/*
 * Opens the image file `name` beneath the folder: regular files only, no way out through "..",
 * links or magic links. A name without an extension also tries .jpg, .jpeg and .png. A name that
 * goes on below a regular file called .tar opens that file, sets ret->shard, and leaves what is in it
 * to be looked up (shards.h). The caller closes ret->fd.
 */
int files_resolve(int folder, const char *name, struct resolved *ret, struct error *err);

/* How files are opened. */
struct files_rules {
	uint64_t resolve;  /* more rules of openat2(2) */
	uint64_t retry_ns; /* how long an open is tried again that gives EAGAIN */
	const char *shown; /* the name in error messages; NULL: as it is */
};

/*
 * The same by these rules. An open that gives EAGAIN, or EXDEV where mounts are not to be crossed,
 * ends it: nothing is known of the name then, and ret->refused says why.
 */
int files_resolve_by(int folder, const char *name, const struct files_rules *rules,
	struct resolved *ret, struct error *err);

/* STATUS_BAD_DATA if the image is empty or has more than `most` bytes (0: no limit). */
int files_check(const struct resolved *file, uint64_t most, struct error *err);

/* Whether `path` (a resolved name) still is the file of that key, as open(2) and read(2) would see
 * it; false also where the rules of `resolve` do not let it be opened. */
bool files_unchanged(int folder, const char *path, uint64_t resolve, const struct file_key *key);

/* The key as the file system says now; false if it cannot say. */
bool files_key(int fd, struct file_key *ret);

/* Whether the file has this key still, and one name only. */
bool files_one_name(int fd, const struct file_key *key);

/*
 * Opens `path` for reading, never waiting, if it lies beneath the folder; `resolve` adds to the
 * rules of openat2(2). -1 with errno: EXDEV if it leads out, EAGAIN if another program's lease keeps
 * it busy.
 */
int files_open_beneath(int folder, const char *path, uint64_t resolve);

/* Whether `path` is a regular file beneath the folder, or the kernel would have to ask a file system
 * for that. Never waits. */
bool files_cached(int folder, const char *path);

/* Whether the name ends like that of an image file: .jpg, .jpeg or .png, in any case. */
bool files_image_extension(const char *name);

/* What is tried behind names whose last part has no dot, in turn; NULL behind the last. */
const char *files_extension(unsigned number);
bool files_has_extension(const char *name);
