/*
 * The window: images that were decoded ahead (prefetch.h) and not used yet, which means fetched. They
 * stay in the store while anything else can go.
 *
 * What requesters find in the index is known by their notes, some of which may be lost (recency.h).
 * So what the readers of a list have passed by counts as used, too, as soon as the window is full:
 * they used images that come after it in the list, by more than what is left of the list in the window.
 *
 * All with the store's lock held.
 */
#pragma once

#include "server/store.h"

/* The image is in the window from now on: decoded for that seat, and for nobody who waits for it. */
void window_add(struct store *store, struct stored *image, unsigned seat, uint64_t order);

/* The image is used: it is the most recently used one, and not in the window any more. */
void window_use(struct store *store, struct stored *image);

/* Whether nothing more may be decoded ahead now. */
bool window_full(struct store *store);

/* Takes images of the window that make at least as many bytes, those that came last first, which
 * then make way as others do. False if there is none. */
bool window_give_up(struct store *store, uint64_t bytes);

/* The images of that seat are as others from now on. */
void window_drop(struct store *store, unsigned seat);
