#include "server/helper_pool.h"

#include <stdlib.h>
#include <unistd.h>

/* Helpers that are kept though there is nothing to do. */
#define SPARE_HELPERS 2

static struct helper *make_helper(struct helper_pool *pool)
{
	struct helper *helper = pool->helpers;
	int socket;

	while (helper < pool->helpers + HELPERS_MAX && helper->state != HELPER_NONE)
		helper++;
	if (helper == pool->helpers + HELPERS_MAX)
		return NULL;
	socket = helper_maker_fork(&pool->maker);
	if (socket < 0)
		return NULL;
	*helper = (struct helper){.state = HELPER_IDLE, .socket = socket};
	return helper;
}

void helper_pool_fill(struct helper_pool *pool)
{
	for (unsigned i = 0; i < SPARE_HELPERS; i++)
		make_helper(pool);
}

struct helper *helper_pool_idle(struct helper_pool *pool)
{
	for (unsigned i = 0; i < HELPERS_MAX; i++)
		if (pool->helpers[i].state == HELPER_IDLE)
			return &pool->helpers[i];
	return make_helper(pool);
}

bool helper_pool_has_spare(const struct helper_pool *pool)
{
	unsigned idle = 0;

	for (unsigned i = 0; i < HELPERS_MAX; i++)
		idle += pool->helpers[i].state == HELPER_IDLE;
	return idle > SPARE_HELPERS;
}

void helper_end(struct helper *helper)
{
	close(helper->socket);
	*helper = (struct helper){.state = HELPER_NONE, .socket = -1};
}

void helper_pool_release(struct helper_pool *pool)
{
	for (unsigned i = 0; i < HELPERS_MAX; i++) {
		free(pool->helpers[i].task);
		if (pool->helpers[i].state != HELPER_NONE)
			helper_end(&pool->helpers[i]);
	}
	helper_maker_stop(&pool->maker);
}
