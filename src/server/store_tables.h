/*
 * How a store (store.h) finds its images: two tables, by key and by name, and lists by last use:
 * with pixels, with pixels that no name leads to, without pixels. Which of them an image is in
 * follows from its fields: it is taken out before they change. For store.c.
 */
#pragma once

#include "server/store.h"

/* The table by key, in which findable images are, and that by name. */
void store_table_add(struct store *store, struct stored *image);
void store_names_add(struct store *store, struct alias *alias);

/* The newest of its list is the one appended last, in the window the last one of the lists. */
void store_list_append(struct store *store, struct stored *image);
void store_list_remove(struct store *store, struct stored *image);

/* Sets `unnamed`, by which the image may get into the other list. */
void store_list_unnamed(struct store *store, struct stored *image, bool unnamed);
