/*
 * Which processes hold which objects, found by device and inode in /proc/<pid>/maps and
 * /proc/<pid>/fd: one walk over /proc answers for every object. It also finds what has no name any
 * more and lives on in the processes that hold it.
 *
 * That somebody holds an object is proof. That nobody does is proof only where every process can be
 * seen; `blind` tells when not. Never seen are descriptors on their way through a socket: lease.h
 * sees those.
 */
#pragma once

#include "base/error.h"
#include "shm/pids.h"
#include "shm/shm_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum holder_kind {
	HOLDER_OF_FILE,
	HOLDER_OF_SYSV_SEGMENT, /* from here on `file.inode` is the id, and the device 0 */
	WAITER_FOR_SYSV_SET,    /* blocked in semop */
	WAITER_FOR_SYSV_QUEUE,  /* blocked in msgsnd or msgrcv */
};

struct holder {
	enum holder_kind kind;
	struct file_id file;
	pid_t pid;
	bool mapped; /* false: only open */
	char command[COMMAND_SIZE];
};

/* A file without a name: one of /dev/shm that was unlinked, or a memfd. */
struct nameless {
	struct file_id file;
	bool memfd;
	bool measured; /* false: `size` is what is mapped of it, `allocated` is unknown (0) */
	uint64_t size, allocated;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	int64_t changed; /* CLOCK_REALTIME, ns; 0: unknown */
	char *name;      /* below /dev/shm as it was, or the memfd's */
};

struct holders {
	struct holder *items; /* by object, then by pid; a process at most once an object */
	size_t count, processes;
	struct nameless *nameless; /* each once */
	size_t nameless_count;
	char blind[96]; /* why some processes cannot be seen; empty when all can */
};

#define HOLDERS_NONE ((struct holders){0})

enum holders_wanted {
	HOLDERS_MEMFDS = 1 << 0,  /* memfds, too */
	HOLDERS_WAITERS = 1 << 1, /* who waits for System V objects, too */
};

/* `wanted`: enum holders_wanted. This process itself is left out. */
int holders_read(unsigned wanted, struct holders *ret, struct error *err);
void holders_release(struct holders *holders);

/* The holders of one object: how many, and the first of them. */
size_t holders_find(const struct holders *holders, enum holder_kind kind, struct file_id file,
	const struct holder **ret_first);
