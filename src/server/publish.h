/*
 * What of the store requesters find in the index: decoded images whose names were looked at and are
 * known to lead to them, each until that has to be looked at again.
 */
#pragma once

#include "server/internal.h"

/* Whether requesters could find images here, and be told of what happens to them. */
bool publish_possible(const struct server *server);

/* Whether and how large an index the server is to have: sets index_entries and index_reserve. */
void publish_options(const struct server *server, struct server_objects_options *objects);

/* Begins with an index that is there, and empty. As publish_stop. */
int publish_start(struct server *server, struct error *err);

/* Ends with it: from now on all ask. With the store's lock held, or before there are threads. */
void publish_stop(struct server *server);

/* Has requesters look for one that was made later than HEAD. With the store's lock held. */
void publish_announce(struct server *server);

/* Notes in HEAD that there are too few watches, if so. With the store's lock held. */
void publish_lack_of_watches(struct server *server);

/* Puts what the name leads to into the index, if that is known and is there to be found. With the
 * store's lock held. */
void publish_alias(struct server *server, struct alias *alias);
void publish_image(struct server *server, struct stored *image);

/* Has the index grow if it is to. Main thread, without the store's lock. */
void publish_grow(struct server *server);
