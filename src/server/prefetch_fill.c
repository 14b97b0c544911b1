#include "server/prefetch_fill.h"

#include "server/file_task.h"
#include "server/jobs.h"
#include "server/prefetch.h"
#include "server/serve_image.h"
#include "server/window.h"

#include <errno.h>
#include <string.h>

/* Has the file decoded, unless the store has the image, or will have it. */
static int submit(struct server *server, struct prefetch *prefetch, struct resolved *file,
	const struct watch_token *token, struct error *err)
{
	const struct image_key key = {.file = file->key,
		.offset = file->offset,
		.size = file->size,
		.options = prefetch->options,
		.kind = LINK_DECODE};
	struct stored *again,
		*image = serve_stored(server, prefetch->name, &key, file, token, &again);
	struct job *job;

	if (image && image->state == STORED_FAILED)
		return error_copy(err, &image->failure);
	if (image && image->state == STORED_READY) {
		if (image->prefetched.unused || image->used_at <= prefetch->since)
			window_add(&server->store, image, prefetch->seat, prefetch->order);
		else
			store_touch(&server->store, image);
		prefetch_done(server, prefetch);
		return STATUS_OK;
	}
	if (image) {
		prefetch_join(prefetch, image);
		return STATUS_OK;
	}
	job = job_new(server, prefetch->name, again, &key, file, token);
	if (!job)
		return error_os(err, ENOMEM, "no memory for another image");
	prefetch_join(prefetch, job->image);
	job_submit_ahead(server, job, prefetch->order);
	return STATUS_OK;
}

/* Of a file that may not have been found, for one that may be listed no more. */
static void admit(struct server *server, struct prefetch *prefetch, int status,
	struct resolved *file, struct watch_token *token, struct error *err)
{
	unsigned seat;

	if (!prefetch)
		return;
	seat = prefetch->seat;
	if (!status)
		status = files_check(file, server->options.file_bytes, err);
	if (!status)
		status = submit(server, prefetch, file, token, err);
	if (status)
		prefetch_fail(server, prefetch, err);
	prefetch_in_order(&server->prefetches.lists[seat]);
	job_begin_ahead(server);
}

static void ask_helper(struct server *server, struct prefetch *prefetch, struct file_task *task)
{
	struct error err;

	if (!prefetch)
		return;
	task->seat = prefetch->seat;
	task->prefetch = prefetch->order;
	if (blocking_ask(server, task))
		return;
	error_os(&err, ENOMEM, "no memory for another image");
	prefetch_fail(server, prefetch, &err);
	prefetch_in_order(&server->prefetches.lists[task->seat]);
}

/* Opens the file of one that was taken. */
static void begin(struct server *server, const struct prefetch *taken)
{
	unsigned seat = taken->seat;
	uint64_t order = taken->order;
	struct resolved file = {.fd = -1};
	struct watch_token token = {0};
	struct prefetch *prefetch;
	char name[WIRE_NAME_MAX + 1];
	struct file_task task;
	struct error err;
	bool direct;
	int status;

	strcpy(name, taken->name);
	store_unlock(&server->store);
	direct = serve_open(server, name, &file, &token, &status, &err);
	store_lock(&server->store);
	if (direct)
		direct = file_task_locate(server, &file, &token, false, &status, &err);
	prefetch = prefetch_find(server, seat, order);
	if (direct) {
		admit(server, prefetch, status, &file, &token, &err);
	} else {
		task = file_task_for(server, name, file.refused);
		ask_helper(server, prefetch, &task);
	}
	file_task_release(server, &file);
}

bool prefetch_fill(struct server *server, unsigned most)
{
	const struct prefetch *prefetch;

	if (!prefetch_possible(server))
		return false;
	job_begin_ahead(server);
	for (unsigned i = 0; i < most; i++) {
		prefetch = prefetch_take(server);
		if (!prefetch)
			return false;
		begin(server, prefetch);
	}
	return true;
}

void prefetch_resume(struct server *server, struct file_answer *answer)
{
	struct prefetch *prefetch = prefetch_find(
		server, answer->task->seat, answer->task->prefetch);
	struct resolved file = {.fd = -1};
	struct watch_token token;
	struct file_task task;
	struct error err;
	int status;

	if (!file_task_crosses(answer) &&
		file_task_found(server, answer, &file, &token, &status, &err) &&
		(status || file.fd >= 0)) {
		admit(server, prefetch, status, &file, &token, &err);
	} else {
		task = file_task_again(server, answer);
		ask_helper(server, prefetch, &task);
	}
	file_task_release(server, &file);
}
