/* Texts that live as long as all the others of their pool: a table's cells. */
#pragma once

#include <stddef.h>

struct text_pool {
	struct text_block *last; /* the one that has room; each knows the one before it */
};

/* Room for `size` bytes, which keep nothing until they are taken; NULL when out of memory. */
char *text_pool_reserve(struct text_pool *pool, size_t size);

/* Takes the first `size` bytes of what was reserved last. */
void text_pool_take(struct text_pool *pool, size_t size);

void text_pool_release(struct text_pool *pool);
