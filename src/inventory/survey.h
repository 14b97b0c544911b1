/* What there is and who has it: all objects with their holders, judged. */
#pragma once

#include "base/error.h"
#include "inventory/holders.h"
#include "inventory/objects.h"

#include <stdbool.h>

/* Both outputs begin as OBJECTS_NONE and HOLDERS_NONE, and are to be released whatever the result.
 * `sysv`: System V objects, too. */
int survey(struct objects *objects, struct holders *holders, bool sysv, struct error *err);
