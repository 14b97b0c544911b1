#include "server/finish.h"

#include "base/clock.h"
#include "base/text.h"
#include "server/answer.h"
#include "server/jobs.h"
#include "server/prefetch.h"
#include "server/publish.h"
#include "server/serve_image.h"

#include <string.h>

static void conclude(struct server *server, struct job *job, const struct error *failure)
{
	struct stored *image = job->image;
	bool used = image->waiters;

	image->job = NULL;
	publish_image(server, image);
	answer_waiters(server, image);
	prefetch_settled(server, image, used, failure);
	store_settled(&server->store, image);
	if (job->preload)
		preload_done(server->preload, failure);
	job_free(job);
}

/* Whether all who want the image get it later, or something else: they are not told that it failed. */
static bool is_tried_again(struct server *server, const struct job *job, const struct error *err)
{
	struct stored *image = job->image;

	if (job->changed)
		serve_once_more(server, image);
	if (err->status != STATUS_TRY_AGAIN || job->preload)
		return false;
	if (job->changed && !image->waiters && !image->wanted)
		return true;
	return (job->no_room && prefetch_when_room(server, image)) ||
	       (job->changed && prefetch_once_more(server, image));
}

static void fail(struct server *server, struct job *job, bool killed, struct error *err)
{
	char shown[256];

	if (is_tried_again(server, job, err)) {
		job->image->job = NULL;
		store_failed(job->image, err, killed);
		store_settled(&server->store, job->image);
		job_free(job);
		return;
	}
	error_prefix(err, err->status, "%s",
		text_escape(job->path, strlen(job->path), shown, sizeof shown));
	server_count(server, WIRE_COUNT_FAILURES, 1);
	store_failed(job->image, err, killed);
	conclude(server, job, err);
}

void job_fail(struct server *server, struct job *job, struct error *err)
{
	fail(server, job, false, err);
}

void job_finish(struct server *server, unsigned decoder, const struct decoded *decoded, bool killed,
	struct error *err)
{
	struct decoder_work *work = &server->work[decoder];
	struct extent *extent = work->extent;
	struct job *job = work->job;

	work->job = NULL;
	work->extent = NULL;
	atomic_fetch_sub(&server->decoding, 1);
	if (!decoded) {
		if (extent)
			store_give_room(&server->store, decoder, extent);
		fail(server, job, killed, err);
		return;
	}
	store_ready(&server->store, job->image, decoder, extent, decoded, clock_now());
	store_tell_sums(&server->store);
	if (extent) {
		server_count(server, WIRE_COUNT_DECODES, 1);
		server_count(server, WIRE_COUNT_DECODED_BYTES, decoded->info.bytes);
	}
	conclude(server, job, NULL);
}
