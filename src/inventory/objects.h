/*
 * The objects of shared memory on this host, whoever made them, and whether anybody still needs
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
	OBJECT_MISPLACED, /* has the name of an object, and is a symbolic link, FIFO, directory...
			   */
	OBJECT_SYSV_SEGMENT,
	OBJECT_SYSV_SEMAPHORES,
	OBJECT_SYSV_QUEUE,
};

enum object_state {
	OBJECT_UNKNOWN, /* nobody seems to use it, which is not proof */
	OBJECT_STALE,   /* proven: nobody does */
	OBJECT_LIVE,
};

#define WHY_SIZE 128

struct object {
	enum object_type type;
	char *name; /* the file below /dev/shm, any bytes; or "shm:<id>", "sem:<id>", "msg:<id>" */
	bool named; /* by the rules of names.h, and so the next three: */
	struct name_space space;
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
	int64_t value;                    /* semaphores, otherwise -1 */

	const struct holder *holders; /* inside the struct holders it was judged by */
	size_t users;
	enum object_state state;
	char why[WHY_SIZE]; /* how we know */
};

struct objects {
	struct object *items;
	size_t count, room;
};

static inline bool object_is_sysv(const struct object *object)
{
	return object->type >= OBJECT_SYSV_SEGMENT;
}

#define OBJECTS_NONE ((struct objects){0})

/* All of /dev/shm, in the order of namespaces and names; nothing is judged yet. */
int objects_read(struct objects *ret, struct error *err);
void objects_release(struct objects *objects);

/* A new object, all zero but for the numbers that are then -1, at the end; NULL when out of memory.
 */
struct object *objects_add(struct objects *objects);

/* Fills in holders, state and why of each POSIX object. `holders` must outlive the objects. */
void objects_judge(struct objects *objects, const struct holders *holders);

/* "mapped by 812 (python3) and 2 more"; for the holders that there are. */
void object_tell_holders(struct object *object, const char *verb);

const char *object_type_text(enum object_type type);
const char *object_state_text(enum object_state state);
