/*
 * Tasks for helpers, waiting in line: a line for each mount, so that a file system that hangs keeps
 * only those waiting that ask for files of it.
 */
#pragma once

#include "server/helper.h"

#include <stdbool.h>
#include <stdint.h>

struct file_user;
struct request;

/* Lines that are no mount's: for files whose mount is not known, and for lists. */
#define MOUNT_UNKNOWN 0
#define MOUNT_LISTS   (-1)

/* Something for a helper to do, and who wants it (file_task.h). */
struct file_task {
	struct helper_order order;
	int mount;
	const struct file_user
		*user;           /* who wants a file; NULL: a list of names, or nobody any more */
	struct request *request; /* that waits for it; NULL: none */
	uint32_t kind;           /* of the image: LINK_DECODE or LINK_PROBE */
	unsigned seat;           /* for whose list it is to be decoded ahead (prefetch.h), */
	uint64_t prefetch;       /* and its order there */
	uint64_t listed_until; /* a list of names needs it, on another mount until then; 0: none */
	size_t shard;          /* of that list */
	bool again;        /* for the second time: the file is needed, whatever is known of it */
	uint64_t deadline; /* 0: --decode-timeout after it was asked for */
	struct file_task *next;
};

/* What is to be done on one mount. */
struct file_line {
	int mount;
	unsigned busy; /* helpers that are at it */
	struct file_task *first, **last;
};

/* Lines, the one for unknown mounts included, which also takes those of mounts beyond that. */
#define FILE_LINES_MAX 32

struct file_lines {
	struct file_line lines[FILE_LINES_MAX]; /* [0]: MOUNT_UNKNOWN */
};

void file_lines_init(struct file_lines *lines);

/* Frees what is in line. */
void file_lines_release(struct file_lines *lines);

/* The line of a mount. */
struct file_line *file_line_of(struct file_lines *lines, int mount);

void file_line_append(struct file_line *line, struct file_task *task);

/* Takes a task of the line out of it. */
void file_line_take(struct file_line *line, struct file_task *task);

/* Nobody wants the task any more. */
void file_task_forget(struct file_task *task);

/* The request waits for no task any more. */
void file_lines_forget(struct file_lines *lines, const struct request *request);

/* A task whose deadline has passed, out of its line; NULL if there is none. */
struct file_task *file_lines_take_expired(struct file_lines *lines, uint64_t now);

/* Until when the first of a line may wait; DEADLINE_NEVER if none waits. */
uint64_t file_lines_next_deadline(const struct file_lines *lines);
