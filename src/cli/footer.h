/*
 * What stands below a list of objects, and what doctor and cleanup tell in the same words: how full
 * /dev/shm is, what of that is stale, and what to type.
 */
#pragma once

#include "inventory/objects.h"
#include "inventory/tally.h"

#include <stddef.h>

#define ADVICE_SIZE 192

/*
 * "20K in 3 stale objects of other programs: 'shmsem cleanup --foreign GLOB' removes them"; NULL if
 * there are none of that class.
 */
const char *advice_text(const struct tally *tally, enum owner_class owner, char text[ADVICE_SIZE]);

/* To stdout, lines of at most `width` columns (0: as long as they are). */
void footer_print(const struct objects *objects, size_t width);
