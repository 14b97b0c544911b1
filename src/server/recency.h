/*
 * What requesters found in the index counts as used: they note it on their seats. A seat that found
 * more than it has notes for since it was last looked at has the order of the last of them.
 */
#pragma once

#include "server/store.h"

/* Takes in what was noted. With the store's lock held. */
void recency_take_in(struct store *store);
