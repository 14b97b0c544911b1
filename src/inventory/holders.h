/*
 * Which processes hold which objects, found by device and inode in /proc/<pid>/maps and
 * /proc/<pid>/fd: one walk over /proc answers for every object.
 *
 * That somebody holds an object is proof. That nobody does is proof only where every process can be
 * seen; `blind` tells when not. Never seen are descriptors under way in a socket: lease.h sees
 * those.
 */
#pragma once

#include "base/error.h"
#include "shm/pids.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct holder {
	bool sysv;   /* a System V segment; `inode` is then its id */
	ino_t inode; /* in /dev/shm's file system */
	pid_t pid;
	bool mapped; /* false: only open */
	char command[COMMAND_SIZE];
};

struct holders {
	struct holder *items; /* by object, then by pid; a process at most once an object */
	size_t count, processes;
	char blind[96];  /* why some processes cannot be seen; empty when all can */
	bool privileged; /* in the first PID namespace, and allowed to see all; yet some systems
			    shield a few processes even then */
};

#define HOLDERS_NONE ((struct holders){0})

/* This process itself is left out. */
int holders_read(struct holders *ret, struct error *err);
void holders_release(struct holders *holders);

/* The holders of one object: how many, and the first of them. */
size_t holders_find(
	const struct holders *holders, bool sysv, ino_t inode, const struct holder **ret_first);
