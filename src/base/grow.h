/*
 * Lists that grow an item at a time, up to hundreds of thousands of items.
 */
#pragma once

#include <stddef.h>

/*
 * Makes room for one more item of `size` bytes behind the first `count`; there is room for `*room`,
 * 0 and NULL at first. The items, which may have moved and are for free(3), or NULL when out of
 * memory: then they are where they were.
 */
void *grow(void *items, size_t count, size_t *room, size_t size);
