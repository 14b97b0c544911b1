#include "server/jobs.h"

#include "server/evict.h"
#include "server/recency.h"
#include "server/window.h"

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
	return store_claim_backed(store, segment, job->expected, job->ahead);
}

/* Gives the job to a decoder, which is idle. */
static void begin(struct server *server, unsigned segment, struct job *job)
{
	struct decoder *decoder = &server->decoders[segment];
	struct decoder_work *work = &server->work[segment];
	struct link_job order = {.kind = job->image->key.kind,
		.number = job->image->number,
		.file_offset = job->copied ? 0 : job->image->key.offset,
		.file_size = job->image->key.size,
		.options = job->image->key.options,
		.limits = server->options.limits};

	store_check_segment(&server->store, segment);
	work->truncations = server->store.truncations[segment];
	work->job = job;
	work->extent = offer_room(&server->store, segment, job);
	if (work->extent) {
		order.offset = work->extent->offset;
		order.length = work->extent->length;
	}
	work->sent = link_ask(decoder, &order, job->file, server->options.decode_timeout_ns);
	decoder_set_state(server, segment, DECODER_HAS_JOB);
	decoder_set_timer(server, decoder->deadline);
	atomic_fetch_add(&server->decoding, 1);
}

/* ---- lines ---- */

void job_lines_init(struct server *server)
{
	server->line.last = &server->line.first;
	server->ahead_line.last = &server->ahead_line.first;
}

static struct job_line *line_of(struct server *server, const struct job *job)
{
	return job->ahead ? &server->ahead_line : &server->line;
}

/* Puts the job in line before the one that *at points to. */
static void line_insert(struct job_line *line, struct job **at, struct job *job)
{
	job->in_line = true;
	job->next = *at;
	*at = job;
	if (!job->next)
		line->last = &job->next;
}

static void line_remove(struct job_line *line, struct job *job)
{
	struct job **at = &line->first;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (!job->next)
		line->last = at;
	job->next = NULL;
	job->in_line = false;
}

/* Takes the first one, or the first that is not early. */
static struct job *line_take_first(struct job_line *line, bool early)
{
	struct job *job = line->first;

	while (job && job->early && !early)
		job = job->next;
	if (job)
		line_remove(line, job);
	return job;
}

void job_submit(struct server *server, struct job *job)
{
	int decoder;

	recency_take_in(&server->store);
	decoder = evict_choose_segment(&server->store, server->decoder_busy);
	if (decoder >= 0)
		begin(server, (unsigned)decoder, job);
	else
		line_insert(&server->line, server->line.last, job);
}

void job_submit_ahead(struct server *server, struct job *job, uint64_t order)
{
	struct job **at = &server->ahead_line.first;

	job->ahead = job->early = true;
	job->order = order;
	while (*at && (*at)->order < order)
		at = &(*at)->next;
	line_insert(&server->ahead_line, at, job);
}

void job_awaited(struct server *server, struct stored *image)
{
	struct job *job = image->job;
	bool moves = job && job->ahead && job->in_line;

	if (moves)
		line_remove(&server->ahead_line, job);
	if (job)
		job->ahead = job->early = false;
	if (moves)
		job_submit(server, job);
}

struct job *job_take_first(struct server *server)
{
	struct job *job = line_take_first(&server->line, true);

	return job ? job : line_take_first(&server->ahead_line, true);
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
	job->put_back = true;
	line_insert(line_of(server, job), &line_of(server, job)->first, job);
	return true;
}

/* Whether anybody wants the image still: who gave up waiting without asking for another has only
 * changed the word in the seat. */
static bool wanted(const struct server *server, const struct job *job)
{
	const struct stored *image = job->image;

	if (job->preload || image->wanted)
		return true;
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

/* Takes the next one of a line; drops those before it that nobody wants. */
static struct job *take_wanted(struct server *server, struct job_line *line)
{
	struct job *job;

	while ((job = line_take_first(line, false)) && !wanted(server, job))
		drop(server, job);
	return job;
}

/* Gives the next job in line to a decoder that is idle, if there is one. */
static void begin_next(struct server *server, unsigned decoder)
{
	struct job *job = take_wanted(server, &server->line);

	if (!job && server->ahead_line.first && !window_full(&server->store))
		job = take_wanted(server, &server->ahead_line);
	if (job)
		begin(server, decoder, job);
}

void job_begin_ahead(struct server *server)
{
	int decoder;

	recency_take_in(&server->store);
	while (server->ahead_line.first &&
		(decoder = evict_choose_segment(&server->store, server->decoder_busy)) >= 0) {
		begin_next(server, (unsigned)decoder);
		if (!server->decoder_busy[decoder])
			return;
	}
}

void decoder_set_idle(struct server *server, unsigned decoder)
{
	decoder_set_state(server, decoder, DECODER_IDLE);
	if (!atomic_load(&server->stopping))
		begin_next(server, decoder);
}

void job_unwanted(struct server *server, struct stored *image)
{
	struct job *job = image->job;

	if (!job || !job->in_line || job->preload || image->wanted || image->waiters)
		return;
	line_remove(line_of(server, job), job);
	drop(server, job);
}
