/*
 * Files that helpers open: what to ask for, and what to make of the answer. With the store's lock
 * held.
 */
#pragma once

#include "server/blocking.h"
#include "server/internal.h"

/* The task for a name that the server could not open itself; `refused` is why, as in struct
 * resolved. */
struct file_task file_task_for(struct server *server, const char *name, int refused);

/* Whether the name leads to another mount than it looked, and is to be asked for anew: refused by
 * EXDEV. */
bool file_task_crosses(const struct file_answer *answer);

/* What the helper found: as files_resolve, ready for watch_file with the token. The caller closes
 * ret->fd, which is -1 for a file that is known. */
int file_task_found(struct server *server, struct file_answer *answer, struct resolved *ret,
	struct watch_token *ret_token, struct error *err);
