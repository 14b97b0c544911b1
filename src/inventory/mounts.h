/* The mounts that this process sees, from /proc/self/mountinfo. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mount {
	uint64_t id; /* as statx tells it (STATX_MNT_ID) */
	char *path;  /* where it is mounted */
	char *type;  /* "tmpfs", "fuse.sshfs", ... */
	bool read_only;
};

struct mounts {
	struct mount
		*items; /* in the order of their making: of two at one path, the later covers */
	size_t count;
};

#define AUTO_MOUNTS __attribute__((cleanup(mounts_release)))

/* 0, or an errno. */
int mounts_read(struct mounts *ret);
void mounts_release(struct mounts *mounts);

/* Lets go of all whose path does not begin with that. */
void mounts_keep_below(struct mounts *mounts, const char *prefix);

/* What is mounted at exactly that path; NULL if nothing is. */
const struct mount *mounts_at(const struct mounts *mounts, const char *path);

/* The mount that a file or folder is on, without looking at the file itself; NULL if that cannot be
 * told. */
const struct mount *mounts_of(const struct mounts *mounts, const char *path);
