#include "server/file_task.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/mount_table.h"
#include "server/shards.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void file_task_close(struct server *server, int fd)
{
	if (fd < 0)
		return;
	store_unlock(&server->store);
	close(fd);
	store_lock(&server->store);
}

/* Closes what is open still, and watches it no more on its own account. */
static void release(struct server *server, struct resolved *file)
{
	watch_drop(server->watch, file->watched);
	file_task_close(server, file->fd);
}

/* Watches a file that was opened after the token was made, and looks up what is in a shard; *ret_status,
 * which is that of the opening, may change. False if the shard's index is not there, which a helper has to
 * make. `asked` as in shards_find. */
static bool locate(struct server *server, const struct file_task *task, struct resolved *file,
	struct watch_token *token, bool asked, int *ret_status, struct error *err)
{
	if (*ret_status)
		return true;
	file->listed = task->listed_until;
	watch_file(server->watch, file, token);
	return !file->shard || shards_find(server->shards, file, asked, ret_status, err);
}

static bool take(struct server *server, const struct file_task *task, struct resolved *file,
	const struct watch_token *token, int status, struct error *err)
{
	if (!status)
		status = files_check(file, server->options.file_bytes, err);
	return task->user->take(server, task, file, token, status, err);
}

/* ---- what is asked of helpers ---- */

/* How a helper is to look for the file, and in which line; `refused` is why the server could not open it,
 * as in struct resolved. */
static void choose_line(struct server *server, struct file_task *task, int refused)
{
	int mount = mount_table_of(server->mounts, task->order.name);
	bool own = mount == mount_table_own(server->mounts);

	task->mount = own && refused == EXDEV ? MOUNT_UNKNOWN : mount;
	task->order.kind = own && refused != EXDEV && !mount_table_all_block(server->mounts)
				   ? HELPER_OPEN
				   : HELPER_READ;
	if (!task->listed_until)
		return;
	/* As the folder's own list, it keeps no request waiting, and takes as long as it takes. */
	task->deadline = task->listed_until;
	if (own && refused != EXDEV) {
		task->mount = MOUNT_LISTS;
		task->deadline = DEADLINE_NEVER;
	}
}

static void ask(struct server *server, const struct file_task *task)
{
	struct resolved none = {.fd = -1};
	struct error err;

	if (!task->user->wants(server, task) || blocking_ask(server, task))
		return;
	error_os(&err, ENOMEM, "no memory for another image");
	task->user->take(server, task, &none, &(struct watch_token){0}, err.status, &err);
}

/* Whether the name leads to another mount than it looked. */
static bool crosses(const struct file_answer *answer)
{
	return answer->task->order.kind == HELPER_OPEN && answer->said.refused == EXDEV;
}

/* What a list of names needs, after a pause: it is not there because it changes. */
#define LISTED_PAUSE_NS (20 * NS_PER_MS)

/* Asks once more, with the deadline that there was. */
static void ask_again(struct server *server, const struct file_answer *answer)
{
	const struct file_task *before = answer->task;
	struct file_task task = {.user = before->user,
		.request = before->request,
		.kind = before->kind,
		.seat = before->seat,
		.prefetch = before->prefetch,
		.listed_until = before->listed_until,
		.shard = before->shard,
		.deadline = before->deadline,
		.again = before->order.kind == HELPER_READ && !answer->said.indexed,
		.order.indexed = !answer->said.err.status &&
				 (before->order.indexed || answer->said.indexed)};

	strcpy(task.order.name, before->order.name);
	if (task.listed_until && !crosses(answer))
		task.order.pause_ns = LISTED_PAUSE_NS;
	choose_line(server, &task, crosses(answer) ? EXDEV : 0);
	ask(server, &task);
}

/* ---- opened by the server itself ---- */

static bool resolve(struct server *server, const char *name, struct resolved *ret, int *ret_status,
	struct error *err)
{
	bool direct;

	store_unlock(&server->store);
	direct = mount_table_resolve(server->mounts, name, ret, ret_status, err);
	store_lock(&server->store);
	return direct;
}

/* Opens the file after its folder was watched. That is done once there is a file: names that do not exist
 * leave nothing behind. False if only a helper can open it. */
static bool open_watched(struct server *server, const char *name, struct resolved *ret,
	struct watch_token *ret_token, int *ret_status, struct error *err)
{
	bool known = watch_knows_folder(server->watch, name), direct;

	if (known)
		*ret_token = watch_folder_of(server->watch, name);
	direct = resolve(server, name, ret, ret_status, err);
	if (known || !direct || *ret_status)
		return direct;
	file_task_close(server, ret->fd);
	ret->fd = -1;
	*ret_token = watch_folder_of(server->watch, name);
	return resolve(server, name, ret, ret_status, err);
}

void file_task_open(struct server *server, struct file_task *task, const char *name)
{
	struct watch_token token = {0};
	struct resolved file = {.fd = -1};
	struct error err;
	int status;

	strcpy(task->order.name, name);
	if (open_watched(server, task->order.name, &file, &token, &status, &err) &&
		locate(server, task, &file, &token, false, &status, &err)) {
		take(server, task, &file, &token, status, &err);
	} else {
		choose_line(server, task, file.refused);
		ask(server, task);
	}
	release(server, &file);
}

void file_task_ask(struct server *server, struct file_task *task, const char *name)
{
	strcpy(task->order.name, name);
	choose_line(server, task, 0);
	ask(server, task);
}

/* ---- found by a helper ---- */

/* The file as the helper has it. */
static void take_over(struct file_answer *answer, struct resolved *ret)
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
		take_over(answer, ret);
		return STATUS_OK;
	}
	/* The helper has the file open, so the kernel has all that leads to it cached: it can be
	 * watched first and opened again now. If not, that it was opened must do. */
	*ret_token = watch_folder_of(server->watch, name);
	if (mount_table_resolve(server->mounts, name, ret, &status, err))
		return status;
	*ret_token = (struct watch_token){0};
	take_over(answer, ret);
	return STATUS_OK;
}

/* What the helper found, as `locate` leaves it. ret->fd is -1 for a file that is known, or has not been
 * opened because the index of its shard came. False if that index is not there any more, or not the right
 * one. */
static bool find(struct server *server, struct file_answer *answer, struct resolved *ret,
	struct watch_token *ret_token, int *ret_status, struct error *err)
{
	bool indexed = answer->said.indexed || answer->task->order.indexed;

	if (answer->said.err.status) {
		*err = answer->said.err;
		*ret_status = err->status;
		return true;
	}
	*ret_status = open_found(server, answer, ret, ret_token, err);
	return locate(server, answer->task, ret, ret_token, indexed, ret_status, err);
}

/* What a helper found, for the task's user; false if it has to be asked for again. */
static bool hand_over(struct server *server, struct file_answer *answer, struct resolved *file)
{
	const struct file_task *task = answer->task;
	struct watch_token token = {0};
	struct error err;
	int status;

	if (crosses(answer))
		return false;
	if (!find(server, answer, file, &token, &status, &err)) {
		/* A request has a deadline. */
		if (!task->listed_until)
			return false;
		status = error_set(&err, STATUS_TRY_AGAIN, "changed while it was read; ask again");
	}
	return take(server, task, file, &token, status, &err);
}

bool file_task_may_pass(const struct error *why)
{
	return why->status == STATUS_TRY_AGAIN && !why->os_error;
}

void file_task_resume(struct server *server, struct file_answer *answer)
{
	struct resolved file = {.fd = -1};

	if (!answer->task->user)
		return;
	if (!hand_over(server, answer, &file))
		ask_again(server, answer);
	release(server, &file);
}
