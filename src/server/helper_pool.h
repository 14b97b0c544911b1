/*
 * The helper processes (helper.h) that there are, and what each is doing. For blocking.c; with the
 * store's lock held, but for helper_pool_fill and helper_pool_release: there are no threads then.
 */
#pragma once

#include "server/file_line.h"
#include "server/helper_maker.h"

#define HELPERS_A_LINE 2
#define HELPERS_MAX    (HELPERS_A_LINE * FILE_LINES_MAX)

enum helper_state {
	HELPER_NONE,
	HELPER_IDLE,
	HELPER_HAS_TASK,
	HELPER_HUNG, /* its task has failed: whatever it says, and when, nobody waits for it */
};

struct helper {
	enum helper_state state;
	int socket;
	bool heard; /* the completion thread listens */
	struct file_line *line;
	struct file_task *task;
	uint64_t reads; /* hash of the name of a shard whose index it may be making; 0: none */
	uint64_t since; /* shards_now() before it had the task */
};

struct helper_pool {
	struct helper_maker maker;
	struct helper helpers[HELPERS_MAX];
};

/* Starts helpers that are kept though there is nothing to do. */
void helper_pool_fill(struct helper_pool *pool);

/* A helper that has nothing to do, made if need be; NULL if none can be made now. */
struct helper *helper_pool_idle(struct helper_pool *pool);

/* Whether more are idle than are kept. */
bool helper_pool_has_spare(const struct helper_pool *pool);

/* Closes its socket, at which it ends; waits for nothing. */
void helper_end(struct helper *helper);

/* Ends all of them and their maker, and frees their tasks. */
void helper_pool_release(struct helper_pool *pool);
