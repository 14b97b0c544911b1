/*
 * The objects of shared memory on this host, by any program, and whether anybody still needs
 * them.
 */
#pragma once

#include "base/error.h"
#include "inventory/holders.h"
#include "shm/names.h"
#include "shm/shm_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum object_type {
	OBJECT_SEGMENT,
	OBJECT_SEMAPHORE,
	OBJECT_FILE,    /* in a folder of /dev/shm, where no shm_open reaches */
	OBJECT_OTHER,   /* a symbolic link, FIFO, ...; a directory that cannot be read */
	OBJECT_MOUNT,   /* another file system, mounted in /dev/shm */
	OBJECT_DELETED, /* has no name any more, but processes that hold it */
	OBJECT_MEMFD,
	OBJECT_UNACCOUNTED, /* memory of /dev/shm that nothing which can be seen takes */
	OBJECT_SYSV_SEGMENT,
	OBJECT_SYSV_SEMAPHORES,
	OBJECT_SYSV_QUEUE,
};

enum object_state {
	OBJECT_UNKNOWN, /* nobody seems to use it, which is not proof */
	OBJECT_STALE,   /* proven: nobody does */
	OBJECT_LIVE,
};

struct object {
	enum object_type type;
	/* The file below /dev/shm, any bytes; "memfd:<name>"; or "shm:<id>", "sem:<id>",
	 * "msg:<id>". */
	char *name;
	char *space; /* the namespace if it is named by the rules of names.h, and so the next two;
			otherwise NULL */
	enum object_kind kind;
	unsigned index;
	bool native; /* made by shmsem, so that a lock decides */

	struct file_id file;
	int id; /* System V */
	uint64_t size, allocated;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	int64_t birth, changed, accessed; /* CLOCK_REALTIME, ns; 0 where nobody knows */
	pid_t creator, last;              /* System V; 0 where nobody knows */
	int64_t attached;                 /* System V segments, otherwise -1 */
	bool elsewhere; /* System V: used by another PID namespace, of which nothing can be seen */

	int lease;  /* the kernel's answer when it was looked at (lease.h); -1: not asked */
	bool asked; /* once more, when it is judged */

	const struct holder *holders; /* inside the struct holders it was judged by */
	size_t users;
	enum object_state state;
	char *why; /* how we know; NULL until it is judged */
};

struct objects {
	struct object *items;
	size_t count, room;
	uint64_t used; /* of /dev/shm, before they were looked at */
};

#define OBJECTS_NONE ((struct objects){0})

static inline bool object_is_sysv(const struct object *object)
{
	return object->type >= OBJECT_SYSV_SEGMENT;
}

/* Whether it takes memory of /dev/shm. */
static inline bool object_is_shm(const struct object *object)
{
	return object->type <= OBJECT_DELETED && object->type != OBJECT_MOUNT;
}

/* Whether it has a name that shm_open or sem_open take. */
static inline bool object_is_named(const struct object *object)
{
	return object->type <= OBJECT_SEMAPHORE;
}

/* All of /dev/shm, in the order of namespaces and names; nothing is judged yet. With `leases` the
 * kernel is asked on the way what is in use. */
int objects_read(struct objects *ret, bool leases, struct error *err);
void objects_release(struct objects *objects);

/* Adds what only processes know of: deleted files, and memfds if they were looked for. */
int objects_add_nameless(struct objects *objects, const struct holders *holders, struct error *err);

/* A new object, all zero but for what is then -1, at the end; NULL when out of memory. */
struct object *objects_add(struct objects *objects);

/* Frees what it has, and leaves it without a name. */
void object_release(struct object *object);

/* The value of a semaphore, read as plain bytes; -1 if the file is none or may not be read. */
int64_t object_semaphore_value(const struct object *object);

const char *object_type_text(enum object_type type);
const char *object_state_text(enum object_state state);
