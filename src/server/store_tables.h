/*
 * How a store (store.h) finds its images: two tables, by key and by name, and lists by last use:
 * with pixels, with pixels that no name leads to, without pixels. Which of them an image is in
 * follows from its fields: it is taken out before they change. For store.c.
 */
#pragma once

#include "server/store.h"

/* Of a name with options: alias.hash. */
uint64_t store_hash_name(const char *name, uint32_t kind, const struct image_options *options);

/* The table by key, in which findable images are; it grows with the store, as that of names. */
void store_table_add(struct store *store, struct stored *image);
void store_table_remove(struct store *store, const struct stored *image);

/* The table by name. */
void store_names_add(struct store *store, struct alias *alias);
void store_names_remove(struct store *store, const struct alias *alias);

/* The newest of its list is the one appended last, in the window the last one of the lists. */
void store_list_append(struct store *store, struct stored *image);
void store_list_remove(struct store *store, struct stored *image);

/* Sets `unnamed`, by which the image may get into the other list. */
void store_list_unnamed(struct store *store, struct stored *image, bool unnamed);
