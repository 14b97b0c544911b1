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

/*
 * Watches a file that was opened after the token was made, and looks up what is in a shard; *ret_status,
 * which is that of the opening, may change. False if the shard's index is not there, which a helper has to
 * make. `asked` as in shards_find. Then file_task_release.
 */
bool file_task_locate(struct server *server, struct resolved *file, struct watch_token *token,
	bool asked, int *ret_status, struct error *err);

/* Closes a file, if there is one. It may be the last that has it open, and what is freed then takes time: the
 * lock is let go meanwhile. */
void file_task_close(struct server *server, int fd);

/* The same, and watches it no more on its own account. */
void file_task_release(struct server *server, struct resolved *file);

/*
 * What the helper found, as file_task_locate leaves it. ret->fd is -1 for a file that is known, or has
 * not been opened because the index of its shard came. False if that index is not there any more, or not
 * the right one.
 */
bool file_task_found(struct server *server, struct file_answer *answer, struct resolved *ret,
	struct watch_token *ret_token, int *ret_status, struct error *err);

/* The task by which to ask once more, with the deadline that there was. */
struct file_task file_task_again(struct server *server, const struct file_answer *answer);
