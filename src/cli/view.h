/*
 * Which objects are shown, in which order, and which of them stand for others.
 */
#pragma once

#include "base/error.h"
#include "inventory/objects.h"

#include <stdbool.h>
#include <stddef.h>

enum view_order {
	VIEW_BY_SIZE, /* largest first; what is of one namespace stays together */
	VIEW_BY_NAME,
	VIEW_BY_AGE, /* oldest first */
};

struct view_row {
	const struct object *object; /* the first that it stands for */
	const struct object *shown;  /* the same; or, if `folded`: */
	struct object *folded;       /* made for the row, when it stands for several semaphores */
	uint64_t weight;             /* bytes of its namespace */
};

struct view {
	struct view_row *rows;
	size_t count;
};

#define AUTO_VIEW __attribute__((cleanup(view_release)))

/*
 * Those of the objects that are `wanted`. `folds`: semaphores of a namespace that are in the same
 * state for the same reason become one row. The objects must outlive the view.
 */
int view_make(const struct objects *objects,
	bool (*wanted)(const void *context, const struct object *object), const void *context,
	enum view_order order, bool folds, struct view *ret, struct error *err);
void view_release(struct view *view);

/* Adds an object that stands for the memory of /dev/shm that nothing else accounts for, if any. */
int view_add_unaccounted(struct objects *objects, struct error *err);
