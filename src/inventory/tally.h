/*
 * Sums over all objects: what is stale, by what removes it, and whether everything that /dev/shm
 * holds was seen.
 */
#pragma once

#include "inventory/objects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNACCOUNTED_WHY \
	"in use by what cannot be seen: in a socket, under a mount, by hidden processes"

/* Whose it is, which decides what has to be said to have it removed. */
enum owner_class {
	OWNER_SHMSEM, /* nothing */
	OWNER_KNOWN,  /* --known */
	OWNER_OTHER,  /* --foreign */
	OWNER_SYSV,   /* --sysv */
	OWNER_CLASSES,
};

enum owner_class object_owner_class(const struct object *object);

/* The memory that removing it would free. */
uint64_t object_bytes(const struct object *object);

struct sum {
	uint64_t bytes;
	size_t count;
};

struct tally {
	struct sum stale[OWNER_CLASSES];
	struct sum deleted; /* files without a name, held by processes */
	bool limited;       /* /dev/shm has a size, so that the next ones are known */
	uint64_t size, used;
	uint64_t unaccounted;         /* used, but by nothing that was seen */
	uint64_t inodes, inodes_used; /* 0: no limit */
};

/* `objects` with all of /dev/shm; System V is counted if it is among them. */
struct tally tally_of(const struct objects *objects);
