#include "server/name_list.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "server/answer.h"
#include "server/mount_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void answer_page(struct server *server, const struct request *request)
{
	const struct names_work *names = &server->names;
	char text[WIRE_TEXT_SIZE];

	serving_answer_text(&server->serving, &request->received, text,
		request_names(names->text, names->size, request->received.name, text));
}

/* Has the names below `path` listed, which is "" or a mount's, with a '/' behind it. The folder's own
 * take as long as they take. */
static void ask_part(struct server *server, const char *path)
{
	struct file_task task = {.order.kind = HELPER_LIST, .mount = MOUNT_LISTS};

	/* Of one shard there is nothing else. */
	if (!*path && server->within.length)
		strcpy(task.order.name, server->within.prefix);
	if (*path) {
		memcpy(task.order.name, path, strlen(path));
		task.mount = mount_table_of(server->mounts, path);
	} else {
		task.deadline = DEADLINE_NEVER;
	}
	if (blocking_ask(server, &task))
		server->names.parts++;
	else if (!*path)
		error_os(&server->names.failure, ENOMEM, "cannot list the served folder");
}

static void answer_current(struct server *server)
{
	struct names_work *names = &server->names;
	struct request *request = names->current, *next;

	names->current = NULL;
	for (; request; request = next) {
		next = request->next;
		if (names->failure.status)
			serving_answer_failure(
				&server->serving, &request->received, &names->failure);
		else
			answer_page(server, request);
		atomic_store(&request->state, REQUEST_NONE);
	}
}

/* All parts are there, or will not be. */
static void finish(struct server *server)
{
	struct names_work *names = &server->names;

	free(names->text);
	names->text = steal_pointer(&names->made);
	names->size = names->made_size;
	names->made_size = 0;
	answer_current(server);
	names->lists++;
	pthread_cond_broadcast(&names->changed);
	if (names->waiting)
		names_begin(server);
}

void names_begin(struct server *server)
{
	struct names_work *names = &server->names;

	if (names->parts)
		return;
	names->current = names->waiting;
	names->waiting = NULL;
	names->failure.status = STATUS_OK;
	ask_part(server, "");
	if (!names->parts)
		answer_current(server);
}

void names_ask(struct server *server, struct request *request)
{
	struct names_work *names = &server->names;

	if (request->received.name[0] && names->text) {
		answer_page(server, request);
	} else if (request_take(&server->objects.head, &request->received)) {
		request->next = names->waiting;
		names->waiting = request;
		atomic_store(&request->state, REQUEST_WAITS_NAMES);
		names_begin(server);
	}
}

/* Where a mount's own name stands in the list; its end if there is none. */
static size_t find_mount(const struct names_work *names, const char *mount)
{
	size_t at = 0;

	while (at < names->made_size && strcmp(names->made + at, mount) != 0)
		at += strlen(names->made + at) + 1;
	return at;
}

/*
 * Puts `size` bytes of `text` into the list, in the place of the mount's own name, where they belong
 * by their order, too: all of them begin with it. False when out of memory.
 */
static bool insert(struct names_work *names, const char *mount, const char *text, size_t size)
{
	size_t at = *mount ? find_mount(names, mount) : 0;
	size_t length = at < names->made_size ? strlen(mount) + 1 : 0;
	size_t rest = names->made_size - at - length;
	char *made = malloc(names->made_size + size + 1);

	if (!made)
		return false;
	if (at)
		memcpy(made, names->made, at);
	if (size)
		memcpy(made + at, text, size);
	if (rest)
		memcpy(made + at + size, names->made + at + length, rest);
	free(names->made);
	names->made = made;
	names->made_size = at + size + rest;
	return true;
}

/* Asks for what is mounted below, too. */
static void ask_mounts(struct server *server, const char *text, size_t size, uint64_t mounts)
{
	for (const char *at = text; mounts && at < text + size; at += strlen(at) + 1) {
		if (!*at || at[strlen(at) - 1] != '/')
			continue;
		ask_part(server, at);
		mounts--;
	}
}

void names_resume(struct server *server, const struct file_answer *answer)
{
	struct names_work *names = &server->names;
	const char *mount = answer->task->mount == MOUNT_LISTS ? "" : answer->task->order.name;
	bool good = !answer->said.err.status;
	size_t size = good ? (size_t)answer->said.size : 0;
	char *text = size ? malloc(size) : NULL;

	names->parts--;
	if (size &&
		(!text || pread_full(answer->fd, text, size, 0) != (ssize_t)size || text[size - 1]))
		good = false;
	if (good && size)
		size = within_hide_names(&server->within, text, size);
	if (!insert(names, mount, text, good ? size : 0) || (!good && !*mount))
		error_set(&names->failure, STATUS_TRY_AGAIN, "%s",
			answer->said.err.status ? answer->said.err.text
						: "no memory for the list of names");
	if (good)
		ask_mounts(server, text, size, answer->said.mounts);
	free(text);
	if (!names->parts)
		finish(server);
}
