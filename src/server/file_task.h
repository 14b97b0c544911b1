/*
 * Files that are wanted: the server opens them itself where that never waits, else a helper does. What is
 * in a shard is looked up. With the store's lock held, which is let go while a file is opened or closed.
 */
#pragma once

#include "server/blocking.h"
#include "server/internal.h"

/* Who wants files, and what for: a task has one of these, and whatever that wants to know of it. */
struct file_user {
	/* A helper is to look for the file: whether anybody wants it still. */
	bool (*wants)(struct server *server, const struct file_task *task);
	/*
	 * The file, which is watched and may be taken over; or `status` and *err say why there is none.
	 * False, with nothing done, if it is needed and not open (fd -1): it is known, or the index of its
	 * shard came in its place. False, too, if a helper said what may pass, and is to be asked again: the
	 * user says how often.
	 */
	bool (*take)(struct server *server, const struct file_task *task, struct resolved *file,
		const struct watch_token *token, int status, struct error *err);
};

/* Gets the file of that name for the task's user, now or later. *task is copied. */
void file_task_open(struct server *server, struct file_task *task, const char *name);

/* The same, later in any case: the lock is not let go. */
void file_task_ask(struct server *server, struct file_task *task, const char *name);

/* Whether what a helper said (task->order.number is not 0) may be different if it is asked again: the file
 * changed while it was read, or the helper has ended. */
bool file_task_may_pass(const struct error *why);

/* Gives the user what a helper found, or asks again: on the mount where the file is, for the file though it
 * is the one that was known, or for what is in a shard whose index has come. */
void file_task_resume(struct server *server, struct file_answer *answer);

/* Closes a file, if there is one, with the lock let go: it may be the last that has it open, and what is
 * freed then takes time. */
void file_task_close(struct server *server, int fd);
