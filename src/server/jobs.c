#include "server/jobs.h"

#include "server/evict.h"
#include "server/recency.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* A file this small may be an icon: it is offered room together with the job, which saves a message
 * each way. So is what was decoded before and has changed, which a camera's picture does all the
 * time. */
#define SMALL_FILE (32 << 10)
#define SMALL_ROOM (64 << 10)

struct job *job_new(struct server *server, const char *name, struct stored *again,
	const struct image_key *key, struct resolved *file, const struct watch_token *token)
{
	struct job *job = calloc(1, sizeof *job);
	struct stored *image = job && !again ? store_add(&server->store, key) : again;
	const struct alias *last = store_alias(&server->store, name, key->kind, &key->options);

	if (!job || !image) {
		free(job);
		return NULL;
	}
	if (last && last->image->extent)
		job->expected = last->image->decoded.total;
	image->state = STORED_DECODING;
	image->token = *token;
	image->recent = file->recent;
	store_watch(&server->store, image, file->watched);
	image->closes = watch_closes(image->file);
	store_name(&server->store, image, name, file->path, token, file->opened_at);
	image->job = job;
	job->image = image;
	job->file = file->fd;
	job->copied = file->copied;
	job->key = file->key;
	strcpy(job->path, file->path);
	file->fd = -1;
	return job;
}

void job_free(struct job *job)
{
	close(job->file);
	free(job);
}

void decoder_set_state(struct server *server, unsigned decoder, enum decoder_state state)
{
	server->decoders[decoder].state = state;
	server->decoder_busy[decoder] = state != DECODER_IDLE;
}

void decoder_set_timer(struct server *server, uint64_t deadline)
{
	const struct itimerspec at = {.it_value = clock_timespec(deadline)};

	if (deadline >= server->timer_at)
		return;
	server->timer_at = deadline;
	timerfd_settime(server->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Room that a decoder gets with the job, if it is likely to do; NULL for none. */
static struct extent *offer_room(struct store *store, unsigned segment, const struct job *job)
{
	if (job->image->key.kind != LINK_DECODE)
		return NULL;
	if (!job->expected)
		return job->image->key.size > SMALL_FILE
			       ? NULL
			       : store_spare_room(store, segment, SMALL_ROOM);
	return store_claim_backed(store, segment, job->expected);
}

/* Gives the job to a decoder, which is idle. */
static void begin(struct server *server, unsigned segment, struct job *job)
{
	struct decoder *decoder = &server->decoders[segment];
	struct decoder_work *work = &server->work[segment];
	struct decoder_job order = {.kind = (enum link_kind)job->image->key.kind,
		.number = job->image->number,
		.file = job->file,
		.file_offset = job->copied ? 0 : job->image->key.offset,
		.file_size = job->image->key.size,
		.options = &job->image->key.options,
		.limits = &server->options.limits,
		.timeout_ns = server->options.decode_timeout_ns};

	store_check_segment(&server->store, segment);
	work->truncations = server->store.truncations[segment];
	work->job = job;
	work->extent = offer_room(&server->store, segment, job);
	if (work->extent) {
		order.offset = work->extent->offset;
		order.length = work->extent->length;
	}
	work->sent = link_ask(decoder, &order);
	decoder_set_state(server, segment, DECODER_HAS_JOB);
	decoder_set_timer(server, decoder->deadline);
	atomic_fetch_add(&server->decoding, 1);
}

void job_submit(struct server *server, struct job *job)
{
	int decoder;

	recency_take_in(&server->store);
	decoder = evict_choose_segment(&server->store, server->decoder_busy);
	if (decoder >= 0) {
		begin(server, (unsigned)decoder, job);
		return;
	}
	job->in_line = true;
	*server->last_job = job;
	server->last_job = &job->next;
}

struct job *job_take_first(struct server *server)
{
	struct job *job = server->first_job;

	if (!job)
		return NULL;
	server->first_job = job->next;
	if (!job->next)
		server->last_job = &server->first_job;
	job->next = NULL;
	job->in_line = false;
	return job;
}

bool job_put_back(struct server *server, unsigned decoder)
{
	struct decoder_work *work = &server->work[decoder];
	struct job *job = work->job;

	if (!job || work->sent || job->put_back)
		return false;
	if (work->extent)
		store_give_room(&server->store, decoder, work->extent);
	work->job = NULL;
	work->extent = NULL;
	atomic_fetch_sub(&server->decoding, 1);
	job->put_back = job->in_line = true;
	job->next = server->first_job;
	server->first_job = job;
	if (!job->next)
		server->last_job = &job->next;
	return true;
}

/* Whether anybody waits for the image still: who gave up without asking for another has only
 * changed the word in the seat. */
static bool wanted(const struct server *server, const struct stored *image)
{
	for (const struct request *request = image->waiters; request; request = request->next)
		if (atomic_load(&head_seat(&server->objects.head, request->received.seat)
					 ->state_word) ==
			WIRE_STATE_WORD(request->received.sequence, WIRE_TAKEN))
			return true;
	return false;
}

/* An image that killed a decoder keeps that on record. */
static void drop(struct server *server, struct job *job)
{
	struct stored *image = job->image;

	for (struct request *request = image->waiters; request; request = request->next)
		atomic_store(&request->state, REQUEST_NONE);
	image->waiters = NULL;
	image->job = NULL;
	job_free(job);
	if (image->deaths)
		image->state = STORED_FAILED;
	else
		store_discard(&server->store, image);
}

void job_next(struct server *server, unsigned decoder)
{
	struct job *job;

	while ((job = job_take_first(server)) && !job->preload && !wanted(server, job->image))
		drop(server, job);
	if (job)
		begin(server, decoder, job);
}

void decoder_set_idle(struct server *server, unsigned decoder)
{
	decoder_set_state(server, decoder, DECODER_IDLE);
	if (!atomic_load(&server->stopping))
		job_next(server, decoder);
}

void job_unwanted(struct server *server, struct stored *image)
{
	struct job *job = image->job, **at = &server->first_job;

	if (!job || !job->in_line || job->preload || image->waiters)
		return;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (server->last_job == &job->next)
		server->last_job = at;
	drop(server, job);
}
