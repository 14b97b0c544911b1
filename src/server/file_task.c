#include "server/file_task.h"

#include "base/cleanup.h"
#include "server/mount_table.h"
#include "server/shards.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct file_task file_task_for(struct server *server, const char *name, int refused)
{
	int mount = mount_table_of(server->mounts, name);
	bool own = mount == mount_table_own(server->mounts);
	struct file_task task = {.order.kind = HELPER_READ, .mount = mount};

	strcpy(task.order.name, name);
	if (own && refused == EXDEV)
		task.mount = MOUNT_UNKNOWN;
	else if (own && !mount_table_all_block(server->mounts))
		task.order.kind = HELPER_OPEN;
	return task;
}

bool file_task_crosses(const struct file_answer *answer)
{
	return answer->task->order.kind == HELPER_OPEN && answer->said.refused == EXDEV;
}

struct file_task file_task_again(struct server *server, const struct file_answer *answer)
{
	const struct file_task *before = answer->task;
	struct file_task task = file_task_for(
		server, before->order.name, file_task_crosses(answer) ? EXDEV : 0);

	task.deadline = before->deadline;
	task.again = before->order.kind == HELPER_READ && !answer->said.indexed;
	task.order.indexed = before->order.indexed || answer->said.indexed;
	return task;
}

/* The file as the helper has it. */
static void take_file(struct file_answer *answer, struct resolved *ret)
{
	const struct helper_answer *said = &answer->said;

	*ret = (struct resolved){.fd = steal_fd(&answer->fd),
		.copied = answer->task->order.kind == HELPER_READ,
		.opened_at = said->opened_at,
		.key = said->key,
		.size = said->key.size,
		.shard = said->shard,
		.recent = said->recent};
	strcpy(ret->path, said->path);
}

/* The same opened here if that can be. */
static int open_found(struct server *server, struct file_answer *answer, struct resolved *ret,
	struct watch_token *ret_token, struct error *err)
{
	const char *name = answer->task->order.name;
	int status;

	if (answer->task->order.kind == HELPER_READ && !mount_table_local(server->mounts, name)) {
		take_file(answer, ret);
		return STATUS_OK;
	}
	/* The helper has the file open, so the kernel has all that leads to it cached: it can be
	 * watched first and opened again now. If not, that it was opened must do. */
	*ret_token = watch_folder_of(server->watch, name);
	if (mount_table_resolve(server->mounts, name, ret, &status, err))
		return status;
	*ret_token = (struct watch_token){0};
	take_file(answer, ret);
	return STATUS_OK;
}

bool file_task_locate(struct server *server, struct resolved *file, struct watch_token *token,
	bool asked, int *ret_status, struct error *err)
{
	if (*ret_status)
		return true;
	watch_file(server->watch, file, token);
	return !file->shard || shards_find(server->shards, file, asked, ret_status, err);
}

void file_task_close(struct server *server, int fd)
{
	if (fd < 0)
		return;
	store_unlock(&server->store);
	close(fd);
	store_lock(&server->store);
}

void file_task_release(struct server *server, struct resolved *file)
{
	watch_drop(server->watch, file->watched);
	file_task_close(server, file->fd);
}

bool file_task_found(struct server *server, struct file_answer *answer, struct resolved *ret,
	struct watch_token *ret_token, int *ret_status, struct error *err)
{
	bool indexed = answer->said.indexed || answer->task->order.indexed;

	*ret = (struct resolved){.fd = -1};
	*ret_token = (struct watch_token){0};
	if (answer->said.err.status) {
		*err = answer->said.err;
		*ret_status = err->status;
		return true;
	}
	*ret_status = open_found(server, answer, ret, ret_token, err);
	return file_task_locate(server, ret, ret_token, indexed, ret_status, err);
}
