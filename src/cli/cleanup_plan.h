/*
 * What cleanup does to each object: decided for all of them first, then done.
 */
#pragma once

#include "base/error.h"
#include "inventory/objects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REASON_SIZE 192

struct cleanup_rules {
	const struct name_space *spaces; /* only these namespaces; all if there are none */
	size_t space_count;
	const char *const *foreign; /* globs: other programs' objects that match one of them */
	size_t foreign_count;
	uint64_t min_age; /* ns; of other programs' objects */
	bool known;       /* also what programs that are known by their names left */
	bool sysv, force;
};

enum action {
	ACTION_NONE,    /* not asked about */
	ACTION_REMOVE,  /* decided, not done yet */
	ACTION_REMOVED, /* done */
	ACTION_GONE,    /* somebody else did it */
	ACTION_KEPT,    /* needed, or nobody knows */
	ACTION_REFUSED, /* stale, but the system does not let us */
};

struct planned {
	enum action action;
	char reason[REASON_SIZE]; /* why it is kept or refused */
};

/* Decides. `actions` has one for each object; those of ACTION_NONE are not to be mentioned. */
void cleanup_decide(
	const struct objects *objects, const struct cleanup_rules *rules, struct planned *actions);

/*
 * Removes what was decided, looking once more before each. Fails only if it could not even begin;
 * what happened to each object is in `actions`.
 */
int cleanup_do(const struct objects *objects, struct planned *actions, struct error *err);
