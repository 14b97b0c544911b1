/*
 * What happens to the served files, taken in by the request thread, which alone may enter the rings
 * that note it (change_flag.h): of the queue of inotify, and of the table of mounts, for a mount over
 * a file gives no event. Where requesters look at the rings themselves, nothing is found in the index
 * from before the rings are cleared until all is taken in.
 */
#pragma once

#include "server/internal.h"

/* Makes the rings; in the index, if it has pages for them. Where that fails, there is no index.
 * Before the request thread begins, or with the store's lock held, for a new index; changes_stop
 * after the request thread has ended. */
void changes_start(struct server *server);
void changes_stop(struct server *server);

/* Whether the request thread has nothing in the index, which was given up: then it may be unmapped.
 * With the store's lock held. */
bool changes_index_free(const struct server *server);

/* Takes in what happened; no system call while nothing has. Request thread, with the store's lock
 * held. */
void changes_take_in(struct server *server);
