/*
 * The columns in which objects are shown.
 */
#pragma once

#include "base/error.h"
#include "cli/table.h"
#include "inventory/objects.h"

#include <stddef.h>

/* For table_select and table_init. */
extern const struct table_column object_columns[];

/* Fills the cell `at` of the current line with what that column says of an object. */
int object_put_cell(struct table *table, size_t at, size_t column, const struct object *object,
	struct error *err);
