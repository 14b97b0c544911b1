#include "server/prefetch_fill.h"

#include "server/file_task.h"
#include "server/jobs.h"
#include "server/prefetch.h"
#include "server/serve_image.h"
#include "server/window.h"

#include <errno.h>

/* Has the file decoded, unless the store has the image, or will have it. */
static int submit(struct server *server, struct prefetch *prefetch, struct resolved *file,
	const struct watch_token *token, struct error *err)
{
	struct job *job;
	struct stored *image = serve_find(
		server, prefetch->name, &prefetch->options, LINK_DECODE, file, token, &job);

	if (!image)
		return error_os(err, ENOMEM, "no memory for another image");
	if (image->state == STORED_FAILED)
		return error_copy(err, &image->failure);
	if (image->state == STORED_READY) {
		if (image->prefetched.unused || image->used_at <= prefetch->since)
			window_add(&server->store, image, prefetch->seat, prefetch->order);
		else
			store_touch(&server->store, image);
		prefetch_done(server, prefetch);
		return STATUS_OK;
	}
	prefetch_join(prefetch, image);
	if (job)
		job_submit_ahead(server, job, prefetch->order);
	return STATUS_OK;
}

static bool wants(struct server *server, const struct file_task *task)
{
	struct prefetch *prefetch = prefetch_find(server, task->seat, task->prefetch);

	if (prefetch && blocking_hangs(server, task->mount))
		prefetch_set_state(server, prefetch, PREFETCH_HANGS);
	return prefetch;
}

static bool take(struct server *server, const struct file_task *task, struct resolved *file,
	const struct watch_token *token, int status, struct error *err)
{
	struct prefetch *prefetch = prefetch_find(server, task->seat, task->prefetch);

	if (!prefetch)
		return true;
	if (!status && prefetch->state == PREFETCH_HANGS && !prefetch_resume(server, prefetch))
		return true;
	if (status && !prefetch->again && task->order.number && file_task_may_pass(err)) {
		prefetch->again = true;
		return false;
	}
	if (!status && file->fd < 0)
		return false;
	if (!status)
		status = submit(server, prefetch, file, token, err);
	if (status)
		prefetch_fail(server, prefetch, err);
	prefetch_in_order(&server->prefetches.lists[task->seat]);
	job_begin_ahead(server);
	return true;
}

bool prefetch_fill(struct server *server, unsigned most)
{
	static const struct file_user user = {.wants = wants, .take = take};

	if (!prefetch_possible(server))
		return false;
	job_begin_ahead(server);
	for (unsigned i = 0; i < most; i++) {
		const struct prefetch *prefetch = prefetch_take(server);
		struct file_task task = {.user = &user};

		if (!prefetch)
			return false;
		task.seat = prefetch->seat;
		task.prefetch = prefetch->order;
		file_task_open(server, &task, prefetch->name);
	}
	return true;
}
