/* The kernel's list of the mounts that a process sees, a line a mount. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MOUNTINFO "/proc/self/mountinfo"

struct mountinfo {
	uint64_t id; /* as statx tells it (STATX_MNT_ID) */
	char *path;  /* where it is mounted */
	char *type;  /* "tmpfs", "fuse.sshfs", ... */
	bool read_only;
};

/* Takes a line apart, which is changed, and which ret points into. False if it is no such line. */
bool mountinfo_parse(char *line, struct mountinfo *ret);
