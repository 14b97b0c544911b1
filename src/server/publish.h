/*
 * What of the store requesters find in the index: decoded images whose names were looked at and are
 * known to lead to them, each until that has to be looked at again.
 */
#pragma once

#include "server/internal.h"

/* Whether and how large an index the server is to have: sets index_entries and index_reserve. */
void publish_options(const struct server *server, struct server_objects_options *objects);

/* Begins with an index that is there, and empty. */
int publish_start(struct server *server, struct error *err);

/* Ends with it: from now on all ask. With the store's lock held, or before there are threads. */
void publish_stop(struct server *server);

/* Puts what the name leads to into the index, if that is known and is there to be found. With the
 * store's lock held. */
void publish_alias(struct server *server, struct alias *alias);
void publish_image(struct server *server, struct stored *image);

/* Gives up an index that somebody damaged: it is not repaired, as the kernel may go on writing to
 * what it was. Main thread, without the store's lock. */
void publish_check(struct server *server);

/* Has the index grow if it is to. Main thread, without the store's lock. */
void publish_grow(struct server *server);
