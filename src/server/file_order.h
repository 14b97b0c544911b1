/*
 * What a helper is told with its order of what the server knows at that moment.
 */
#pragma once

#include "server/file_line.h"

#include <stdint.h>

struct server;

/* With the store's lock held. */
void file_order_complete(struct server *server, struct file_task *task);

/* A hash of the name of the shard that the task's file may be in; 0 for none. */
uint64_t file_order_shard(const struct file_task *task);
