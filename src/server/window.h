/*
 * The window: images of lists (prefetch.h) that are stored, and were not used since they were listed or
 * decoded, which means fetched. They stay in the store while anything else can go.
 *
 * What requesters find in the index is known by their notes, some of which may be lost (recency.h).
 * So what the readers of a list have passed by counts as used, too, as soon as the window is full:
 * they used images that come after it in the list, by more than what is left of the list in the window.
 * And readers may have been there before the list was: once others were used twice as often as there are
 * images in the full window, and none of these, the oldest leaves it with each further use of another.
 *
 * All with the store's lock held.
 */
#pragma once

#include "server/store.h"

/* The image is in the window from now on, for that seat; if it was before, for what comes later. */
void window_add(struct store *store, struct stored *image, unsigned seat, uint64_t order);

/* The image is used: it is the most recently used one, and not in the window any more. */
void window_use(struct store *store, struct stored *image);

/* An image was used that was never in the window. */
void window_use_other(struct store *store);

/* Whether nothing more may be decoded ahead now. */
bool window_full(struct store *store);

/* Takes images of the window that make at least as many bytes, those that come last in the lists first, which
 * then make way as others do. False if there is none. */
bool window_give_up(struct store *store, uint64_t bytes);

/* The images of that seat are as others from now on. */
void window_drop(struct store *store, unsigned seat);
