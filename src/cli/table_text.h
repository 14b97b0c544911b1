/* How a table is laid out for people. */
#pragma once

#include "cli/table.h"

void table_print_text(const struct table *table);
