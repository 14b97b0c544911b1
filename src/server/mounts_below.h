/*
 * The list of mounts that the kernel keeps for a process, as far as a folder is concerned: those
 * below it, and its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct mount_below {
	int id;
	bool local;     /* its file system waits for nothing but local disks */
	bool reachable; /* so do all on the way from the folder to it */
	char *point;    /* from the folder on */
};

struct mounts_below {
	struct mount_below *mounts;
	size_t count;
	bool own_listed; /* the folder's own mount: not that of / where a chroot is none itself */
	bool own_local;
};

/* Reads the mounts below the folder that has this path and is on the mount `own`; -1 with errno. */
int mounts_below_read(const char *path, int own, struct mounts_below *ret);
void mounts_below_release(struct mounts_below *below);

bool mounts_below_same(const struct mounts_below *a, const struct mounts_below *b);

/* The mount below the folder that a name leads to; NULL: none, it is on the folder's own. Of two
 * mounts at one place the later one is on top. */
const struct mount_below *mounts_below_find(const struct mounts_below *below, const char *name);

/* The mount of an open file, asked without the file system's part; -1 if nobody can tell. */
int mount_of_descriptor(int fd);
