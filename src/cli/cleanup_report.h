/*
 * What cleanup says of what it did or would do.
 */
#pragma once

#include "base/error.h"
#include "cli/cleanup_plan.h"
#include "inventory/objects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cleanup_totals {
	uint64_t bytes; /* removed, or to be removed */
	size_t removed, kept, refused, pending;
};

struct cleanup_totals cleanup_count(const struct objects *objects, const struct planned *actions);

/*
 * A line for each namespace, program that is known, or else object, to which the same happened for
 * the same reason; `verbose`: a line for each object.
 */
void cleanup_print(
	FILE *file, const struct objects *objects, const struct planned *actions, bool verbose);

/* "freed 156K in 6 objects, kept 1" */
void cleanup_print_totals(FILE *file, const struct cleanup_totals *totals, bool done);

/* What else is stale, and the options that remove it; `actions` tell what this was asked to. */
void cleanup_print_rest(const struct objects *objects, const struct planned *actions);

int cleanup_print_json(const struct objects *objects, const struct planned *actions,
	const struct cleanup_totals *totals, bool done, struct error *err);
