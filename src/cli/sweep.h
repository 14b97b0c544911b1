/*
 * What cleanup does to each object: decided for all of them first, then done.
 */
#pragma once

#include "base/error.h"
#include "ipc/objects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sweep_rules {
	const struct name_space *spaces; /* only these namespaces; all if there are none */
	size_t space_count;
	const char *foreign; /* a glob; NULL: no objects of other programs */
	uint64_t min_age;    /* ns; of other programs' objects */
	bool sysv, force;
};

enum fate {
	FATE_NONE,    /* not asked about */
	FATE_REMOVE,  /* decided, not done yet */
	FATE_REMOVED, /* done */
	FATE_GONE,    /* somebody else did it */
	FATE_KEPT,    /* needed, or nobody knows */
	FATE_REFUSED, /* stale, but the system does not let us */
};

struct swept {
	enum fate fate;
	char reason[WHY_SIZE + 64]; /* why it is kept or refused */
};

/* Decides. `fates` has an element for each object; those of FATE_NONE are not to be mentioned. */
void sweep_decide(
	const struct objects *objects, const struct sweep_rules *rules, struct swept *fates);

/*
 * Removes what was decided, looking once more before each. Fails only if it could not even begin;
 * what happened to each object is in `fates`.
 */
int sweep_do(const struct objects *objects, struct swept *fates, struct error *err);
