/*
 * What may block is done by helper processes (helper.h). Each mount has two of them at the most,
 * and a line of its own: requests for files of a file system that hangs do not delay requests for
 * other files. A task that has not been done by its deadline fails; a helper that hangs
 * in it keeps its place until it comes back.
 *
 * All with the store's lock held, unless it says otherwise.
 */
#pragma once

#include "server/file_line.h"

#include <stdbool.h>
#include <stdint.h>

struct server;

/* What came of it. The receiver frees the task and closes the descriptor. */
struct file_answer {
	struct file_task *task;
	struct helper_answer said;
	int fd; /* -1: none */
};

/* Starts the process that makes helpers, and the first of them. Before there are threads. */
int blocking_start(struct server *server, struct error *err);

/* Ends them, waiting for none. Once there are no threads any more. */
void blocking_stop(struct server *server);

/* Starts that process anew if it has ended. Without the store's lock; main thread. */
void blocking_upkeep(struct server *server);

/* Puts a copy of the task in line. False when out of memory. */
bool blocking_ask(struct server *server, const struct file_task *task);

/* Whether all helpers that the mount may have hang, since their tasks have failed. */
bool blocking_hangs(const struct server *server, int mount);

/* The request does not wait any more. */
void blocking_forget(struct server *server, const struct request *request);

/* Takes in one answer of a helper; false if there is none that anybody waits for. */
bool blocking_receive(struct server *server, unsigned helper, struct file_answer *ret);

/* Takes one task whose deadline has passed, as a failure; false if there is none. Sees to it that
 * the completion thread looks again at the next deadline. */
bool blocking_expire(struct server *server, struct file_answer *ret);
