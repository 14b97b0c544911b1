#include "server/name_list.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "server/answer.h"
#include "server/file_task.h"
#include "server/mount_table.h"
#include "server/notice.h"
#include "server/shards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Shards that helpers are asked for at a time: each takes some room. */
#define ASKED_MAX 1000

#define TOLD_NS (60 * NS_PER_SECOND)

static void answer_page(struct server *server, const struct request *request)
{
	char text[WIRE_TEXT_SIZE], last[sizeof server->within.prefix + WIRE_NAME_MAX + 1];

	snprintf(last, sizeof last, "%s%s", server->within.prefix, request->received.name);
	serving_answer_text(&server->serving, &request->received, text,
		listed_page(&server->names.done, last, text, sizeof text));
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
	else if (!server->names.failure.status)
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

/* Tells who runs the server, once as long as it stays so, and once in a minute: of several that are
 * lacking, each list may meet another one first. */
static void tell_lacking(struct server *server)
{
	struct names_work *names = &server->names;

	if (!names->lacking.status) {
		names->told.text[0] = '\0';
	} else if (strcmp(names->lacking.text, names->told.text) != 0 &&
		   clock_now() >= names->told_until) {
		notice_add(server, &names->lacking);
		names->told = names->lacking;
		names->told_until = deadline_after(TOLD_NS);
	}
}

/* All parts are there, or will not be. */
static void finish(struct server *server)
{
	struct names_work *names = &server->names;

	tell_lacking(server);
	/* Others may be reading the list before it, which is whole. */
	if (names->failure.status) {
		listed_release(&names->made);
	} else {
		listed_release(&names->done);
		names->done = names->made;
		names->any_done = true;
	}
	names->made = (struct listed){0};
	names->next_shard = names->taken = 0;
	names->making = false;
	answer_current(server);
	names->lists++;
	pthread_cond_broadcast(&names->changed);
	if (names->waiting)
		names_begin(server);
}

void names_begin(struct server *server)
{
	struct names_work *names = &server->names;

	if (names->making)
		return;
	names->current = names->waiting;
	names->waiting = NULL;
	names->failure.status = STATUS_OK;
	names->again_until = 0;
	names->lacking = (struct error){0};
	names->made.hidden = server->within.length;
	names->made.indexes_max = names->indexes_max;
	ask_part(server, "");
	names->making = names->parts;
	if (!names->making)
		answer_current(server);
}

void names_ask(struct server *server, struct request *request)
{
	struct names_work *names = &server->names;

	if (request->received.name[0] && names->any_done) {
		answer_page(server, request);
	} else if (request_take(&server->objects.head, &request->received)) {
		request->next = names->waiting;
		names->waiting = request;
		atomic_store(&request->state, REQUEST_WAITS_NAMES);
		names_begin(server);
	}
}

/* Length of the name, without what stands for the members of a shard. */
static size_t shown_length(const char *name)
{
	static const char members[] = "/" LISTED_MEMBERS;
	size_t length = strlen(name), behind = strlen(members);

	return length > behind && !strcmp(name + length - behind, members) ? length - behind
									   : length;
}

static const char *shown_name(const char *name, char *buffer, size_t size)
{
	return text_escape(name, shown_length(name), buffer, size);
}

/* The list goes on without what is at `name`. */
static void leave_out(struct server *server, const char *name, const struct error *why)
{
	struct names_work *names = &server->names;
	char shown[256];

	if (names->lacking.status)
		return;
	error_set(&names->lacking, STATUS_PARTLY, "a list of names lacks what is in '%s': %s",
		shown_name(name, shown, sizeof shown), why->text);
}

/* A list without that would not be whole for want of what the server lacks, or of a second try. */
static bool fails_list(const struct error *why)
{
	return file_task_may_pass(why) || why->os_error == EMFILE || why->os_error == ENFILE ||
	       why->os_error == ENOMEM;
}

static void fail_list(struct server *server, const char *name, const struct error *why)
{
	struct error *failure = &server->names.failure;
	char shown[256];

	if (!failure->status)
		error_set(failure, STATUS_TRY_AGAIN, "cannot list what is in '%s': %s",
			shown_name(name, shown, sizeof shown), why->text);
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

/* All names are there but those in shards. */
static void begin_shards(struct server *server)
{
	struct names_work *names = &server->names;

	names->deadline = deadline_after(server->options.decode_timeout_ns);
	if (!listed_find_shards(&names->made))
		error_os(&names->failure, ENOMEM, "cannot list the served folder");
	if (!names->made.count)
		finish(server);
}

void names_resume(struct server *server, const struct file_answer *answer)
{
	struct names_work *names = &server->names;
	const struct helper_answer *said = &answer->said;
	const char *mount = answer->task->mount == MOUNT_LISTS ? "" : answer->task->order.name;
	bool good = !said->err.status, lost = false;
	size_t size = good ? (size_t)said->size : 0;
	char *text = size ? malloc(size) : NULL;

	names->parts--;
	if (size &&
		(!text || pread_full(answer->fd, text, size, 0) != (ssize_t)size || text[size - 1]))
		lost = true;
	good &= !lost;
	lost |= !listed_insert(&names->made, mount, text, good ? size : 0);
	if (lost || (!good && !*mount))
		error_set(&names->failure, STATUS_TRY_AGAIN, "%s",
			lost ? "no memory for the list of names" : said->err.text);
	else if (!good && fails_list(&said->err))
		fail_list(server, mount, &said->err);
	else if (!good)
		leave_out(server, mount, &said->err);
	if (good)
		ask_mounts(server, text, size, said->mounts);
	free(text);
	if (!names->parts)
		begin_shards(server);
}

/* ---- what is in shards ---- */

static bool wants(struct server *server, const struct file_task *task)
{
	(void)server, (void)task;
	return true;
}

/* It is gone, or may not be read: so are files left out. */
static bool says_nothing(int status)
{
	return status == STATUS_NOT_FOUND || status == STATUS_BAD_DATA ||
	       status == STATUS_NOT_PERMITTED;
}

/* Whether there is time to ask for a shard again: each once more, and then all together for a limited
 * time. Not if it was not asked of a helper. */
static bool may_ask_again(struct server *server, const struct file_task *task)
{
	struct names_work *names = &server->names;
	struct listed_shard *shard = &names->made.shards[task->shard];
	uint64_t now = clock_now();

	if (!task->order.number || names->failure.status || now >= task->deadline)
		return false;
	if (!shard->again)
		return shard->again = true;
	if (!names->again_until)
		names->again_until = deadline_after(server->options.decode_timeout_ns);
	return now < names->again_until;
}

/* Takes the shard's index, or goes on without it. */
static bool take(struct server *server, const struct file_task *task, struct resolved *file,
	const struct watch_token *token, int status, struct error *err)
{
	struct names_work *names = &server->names;
	const char *name = names->made.text + names->made.shards[task->shard].at;
	struct shard_index *index = NULL;

	(void)token;
	if (status && file_task_may_pass(err)) {
		if (may_ask_again(server, task))
			return false;
	} else {
		index = shards_index(server->shards, file);
	}
	if (index && !listed_add_images(&names->made, task->shard, index))
		error_os(&names->failure, ENOMEM, "cannot list the served folder");
	else if (!index && status && !says_nothing(status))
		(fails_list(err) ? fail_list : leave_out)(server, name, err);
	shards_taken(server->shards, name, shown_length(name));
	if (++names->taken == names->made.count)
		finish(server);
	return true;
}

bool names_fill(struct server *server, unsigned most)
{
	static const struct file_user user = {.wants = wants, .take = take};
	struct names_work *names = &server->names;

	/* Of a list that has failed, what was asked for is awaited. */
	if (names->failure.status && names->next_shard < names->made.count) {
		names->taken += names->made.count - names->next_shard;
		names->next_shard = names->made.count;
		if (names->taken == names->made.count)
			finish(server);
		return false;
	}
	for (unsigned i = 0; i < most; i++) {
		struct file_task task = {
			.user = &user, .listed_until = names->deadline, .shard = names->next_shard};

		if (names->next_shard == names->made.count ||
			names->next_shard - names->taken == ASKED_MAX)
			return false;
		names->next_shard++;
		file_task_open(server, &task, names->made.text + names->made.shards[task.shard].at);
	}
	return true;
}
