#include "server/file_task.h"

#include "base/cleanup.h"
#include "server/mount_table.h"

#include <errno.h>
#include <string.h>

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

/* The file as the helper has it. */
static void take_file(struct file_answer *answer, struct resolved *ret)
{
	const struct helper_answer *said = &answer->said;

	*ret = (struct resolved){.fd = steal_fd(&answer->fd),
		.copied = answer->task->order.kind == HELPER_READ,
		.opened_at = said->opened_at,
		.key = said->key,
		.recent = said->recent};
	strcpy(ret->path, said->path);
}

int file_task_found(struct server *server, struct file_answer *answer, struct resolved *ret,
	struct watch_token *ret_token, struct error *err)
{
	const char *name = answer->task->order.name;
	int status;

	*ret = (struct resolved){.fd = -1};
	*ret_token = (struct watch_token){0};
	if (answer->said.err.status) {
		*err = answer->said.err;
		return err->status;
	}
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
