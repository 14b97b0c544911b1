#include "cli/text_pool.h"

#include <stdlib.h>

#define BLOCK_SIZE (1 << 16)

struct text_block {
	struct text_block *before;
	size_t used, size;
	char bytes[];
};

char *text_pool_reserve(struct text_pool *pool, size_t size)
{
	struct text_block *block = pool->last;

	if (!block || block->size - block->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = malloc(sizeof *block + room);
		if (!block)
			return NULL;
		*block = (struct text_block){.before = pool->last, .size = room};
		pool->last = block;
	}
	return block->bytes + block->used;
}

void text_pool_take(struct text_pool *pool, size_t size)
{
	pool->last->used += size;
}

void text_pool_release(struct text_pool *pool)
{
	for (struct text_block *block = pool->last, *before; block; block = before) {
		before = block->before;
		free(block);
	}
	pool->last = NULL;
}
