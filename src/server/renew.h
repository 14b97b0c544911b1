/*
 * An index that somebody damaged is given up, and another one made. It is never repaired: the kernel
 * goes on writing to the pages that it was, and requesters believe what they have mapped. An index
 * that does not learn of changes is given up, too; the wait before the next one doubles each time,
 * up to a minute.
 */
#pragma once

#include "server/internal.h"

/* Gives a damaged index up, and makes another one once nothing of it is used; where that is not
 * possible now, the next time. Main thread, without the store's lock. */
void renew_index(struct server *server);
