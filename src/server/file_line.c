#include "server/file_line.h"

#include "base/clock.h"

#include <stdlib.h>

void file_lines_init(struct file_lines *lines)
{
	*lines = (struct file_lines){0};
	for (unsigned i = 0; i < FILE_LINES_MAX; i++)
		lines->lines[i].last = &lines->lines[i].first;
}

void file_lines_release(struct file_lines *lines)
{
	struct file_task *task;

	while ((task = file_lines_take_expired(lines, DEADLINE_NEVER)))
		free(task);
}

struct file_line *file_line_of(struct file_lines *lines, int mount)
{
	struct file_line *unknown = &lines->lines[0], *none = unknown;

	if (mount == MOUNT_UNKNOWN)
		return unknown;
	for (unsigned i = FILE_LINES_MAX; i-- > 1;) {
		struct file_line *line = &lines->lines[i];

		if (!line->busy && !line->first)
			none = line;
		else if (line->mount == mount)
			return line;
	}
	if (none != unknown)
		none->mount = mount;
	return none;
}

void file_line_append(struct file_line *line, struct file_task *task)
{
	task->next = NULL;
	*line->last = task;
	line->last = &task->next;
}

void file_line_take(struct file_line *line, struct file_task *task)
{
	struct file_task **at = &line->first;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	if (!task->next)
		line->last = at;
}

void file_task_forget(struct file_task *task)
{
	task->request = NULL;
	task->user = NULL;
}

void file_lines_forget(struct file_lines *lines, const struct request *request)
{
	for (unsigned i = 0; i < FILE_LINES_MAX; i++)
		for (struct file_task *task = lines->lines[i].first; task; task = task->next)
			if (task->request == request)
				file_task_forget(task);
}

/* The first in a line is the one that waited longest. */
struct file_task *file_lines_take_expired(struct file_lines *lines, uint64_t now)
{
	for (unsigned i = 0; i < FILE_LINES_MAX; i++) {
		struct file_task *task = lines->lines[i].first;

		if (!task || task->deadline > now)
			continue;
		file_line_take(&lines->lines[i], task);
		return task;
	}
	return NULL;
}

uint64_t file_lines_next_deadline(const struct file_lines *lines)
{
	uint64_t next = DEADLINE_NEVER;

	for (unsigned i = 0; i < FILE_LINES_MAX; i++)
		if (lines->lines[i].first && lines->lines[i].first->deadline < next)
			next = lines->lines[i].first->deadline;
	return next;
}
