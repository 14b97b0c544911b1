#include "server/serve_image.h"

#include "base/clock.h"
#include "base/text.h"
#include "server/answer.h"
#include "server/changes.h"
#include "server/file_task.h"
#include "server/jobs.h"
#include "server/mount_table.h"
#include "server/publish.h"
#include "server/shard_name.h"

#include <errno.h>
#include <string.h>

/* Whether a program that had the image's file open for writing closed it since it was decoded. */
static bool written(const struct stored *image)
{
	return image->closes != watch_closes(image->file);
}

/* The same for an image in a shard, which some part of its path leads to. */
static bool shard_unchanged(const struct server *server, const struct alias *alias)
{
	char part[sizeof(struct resolved){0}.path];

	for (size_t at = 0; (at = shard_name_part(alias->path, at));) {
		memcpy(part, alias->path, at);
		part[at] = '\0';
		if (mount_table_unchanged(server->mounts, part, &alias->image->key.file))
			return true;
	}
	return false;
}

/* Whether the alias's file is that of its image still; false also if only a helper can tell, or if
 * another file may have the name by now, which is looked for first: with another extension. */
static bool unchanged(const struct server *server, const struct alias *alias)
{
	if (alias->image->key.offset)
		return shard_unchanged(server, alias);
	return !strcmp(alias->path, alias->name) &&
	       mount_table_unchanged(server->mounts, alias->path, &alias->image->key.file);
}

/* Whether what an alias says can be answered without opening the file. With the store's lock held.
 */
static bool alias_current(struct server *server, struct alias *alias)
{
	uint64_t now = server->options.fresh_ns ? clock_now() : 0;

	if (server->options.fresh_ns && !alias->dependent.changed &&
		now - alias->checked_at < server->options.fresh_ns) {
		/* There may be another index since then, or it had to make way. */
		if (!alias->indexed)
			publish_alias(server, alias);
		return true;
	}
	changes_take_in(server);
	if (!alias->dependent.tracked && !watch_same(server->watch, &alias->token) &&
		(alias->token.folder || alias->image->recent || written(alias->image) ||
			!unchanged(server, alias)))
		return false;
	alias->checked_at = now;
	publish_alias(server, alias);
	return true;
}

struct stored *serve_known(
	struct server *server, const char *name, uint32_t kind, const struct image_options *options)
{
	struct alias *alias = store_alias(&server->store, name, kind, options);

	if (!alias || store_may_retry(alias->image) || !alias_current(server, alias))
		return NULL;
	return alias->image;
}

/*
 * What there is for a key. Of a file that is decoded already, maybe under another name, more can be
 * told than its header says. With the store's lock held.
 */
static struct stored *find_image(const struct store *store, const struct image_key *key)
{
	struct image_key decoded = *key;
	struct stored *image;

	decoded.kind = LINK_DECODE;
	image = store_find(store, &decoded);
	if (key->kind == LINK_DECODE || (image && image->state == STORED_READY && !image->recent))
		return image;
	return store_find(store, key);
}

/* Of a file that is watched. NULL if it is to be decoded: for the first time, or as *ret_again says. */
static struct stored *find_stored(struct server *server, const char *name,
	const struct image_key *key, const struct resolved *file, const struct watch_token *token,
	struct stored **ret_again)
{
	struct stored *image = find_image(&server->store, key);
	struct alias *alias;

	/* Whatever its key says: what was written meanwhile may not show there. */
	if (image && (written(image) || (!image->file && file->watched) ||
			     (image->recent && !watch_same(server->watch, &image->token)))) {
		store_forget(&server->store, image);
		image = NULL;
	}
	*ret_again = image;
	if (!image || store_may_retry(image))
		return NULL;
	store_watch(&server->store, image, file->watched);
	alias = store_name(&server->store, image, name, file->path, token, file->opened_at);
	if (alias)
		publish_alias(server, alias);
	return image;
}

struct stored *serve_find(struct server *server, const char *name,
	const struct image_options *options, uint32_t kind, struct resolved *file,
	const struct watch_token *token, struct job **ret_job)
{
	const struct image_key key = image_key_of(file, options, kind);
	struct stored *again, *image = find_stored(server, name, &key, file, token, &again);

	*ret_job = image || file->fd < 0 ? NULL : job_new(server, name, again, &key, file, token);
	return *ret_job ? (*ret_job)->image : image;
}

static bool wants(struct server *server, const struct file_task *task)
{
	struct seat_request *received = &task->request->received;

	if (!received->taken && !request_take(&server->objects.head, received))
		return false;
	atomic_store(&task->request->state, REQUEST_WAITS_FILE);
	return true;
}

static bool take(struct server *server, const struct file_task *task, struct resolved *file,
	const struct watch_token *token, int status, struct error *err)
{
	struct request *request = task->request;
	struct stored *image = NULL;
	struct job *job = NULL;

	if (status && !request->again && task->order.number && file_task_may_pass(err)) {
		request->again = true;
		return false;
	}
	if (!status) {
		image = serve_find(
			server, task->order.name, &request->options, task->kind, file, token, &job);
		if (!image && file->fd < 0)
			return false;
	}
	if (!status && !image)
		error_os(err, ENOMEM, "no memory for another image");
	if (!image) {
		answer_failure(server, request, err);
	} else if (job) {
		answer_later(server, request, image);
		job_submit(server, job);
	} else {
		answer_with(server, request, image);
	}
	/* Unless it waits for the image now. */
	if (atomic_load(&request->state) == REQUEST_WAITS_FILE)
		atomic_store(&request->state, REQUEST_NONE);
	return true;
}

bool serve_enter(struct server *server, struct request *request)
{
	char shown[256], *name = request->received.name;
	struct error err;

	if (within_enter(&server->within, name, sizeof request->received.name))
		return true;
	error_set(&err, STATUS_NOT_FOUND, "%s: the name is too long",
		text_escape(name, strlen(name), shown, sizeof shown));
	answer_failure(server, request, &err);
	return false;
}

static struct file_task task_of(struct request *request)
{
	static const struct file_user user = {.wants = wants, .take = take};
	bool get = request->received.request.operation == WIRE_GET;

	return (struct file_task){
		.user = &user, .request = request, .kind = get ? LINK_DECODE : LINK_PROBE};
}

void serve_once_more(struct server *server, struct stored *image)
{
	struct request **at = &image->waiters, *request;

	while ((request = *at)) {
		struct file_task task = task_of(request);

		if (request->again) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		request->again = true;
		file_task_ask(server, &task, request->received.name);
	}
}

void serve_image(struct server *server, struct request *request)
{
	struct file_task task = task_of(request);
	struct store *store = &server->store;
	struct stored *image;

	request->again = false;
	if (server->within.length && !serve_enter(server, request))
		return;
	store_lock(store);
	image = serve_known(server, request->received.name, LINK_DECODE, &request->options);
	if (task.kind == LINK_PROBE && (!image || image->state != STORED_READY)) {
		image = serve_known(server, request->received.name, LINK_PROBE, &request->options);
		image = image ? find_image(store, &image->key) : NULL;
	}
	if (image)
		answer_with(server, request, image);
	else
		file_task_open(server, &task, request->received.name);
	store_unlock(store);
}
