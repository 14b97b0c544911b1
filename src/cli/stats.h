/* What a server has counted, read from its header without asking it. */
#pragma once

#include "base/error.h"
#include "cli/table.h"
#include "shm/names.h"

/* STATUS_UNAVAILABLE if the namespace has no header of a shmsem server. */
int stats_print(const struct name_space *space, const struct table_style *style, struct error *err);
