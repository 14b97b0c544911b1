/*
 * What happens to a decoder, by its state:
 *
 *	IDLE      a job: ASKED (jobs.c)
 *	ASKED     needs room: HAS_ROOM, or NEEDS_ROOM; answers: the job ends, IDLE
 *	NEEDS_ROOM it is made: HAS_ROOM; it is not: NO_ROOM and the job fails (supply.c)
 *	HAS_ROOM  answers: the job ends, IDLE
 *	NO_ROOM   answers: IDLE
 *	all       closes its socket, ends, is late or says nonsense: ENDING
 *	ENDING    its process ended: the job fails, DEAD
 *	DEAD      STARTING, then IDLE (supply.c)
 */
#include "server/completion_loop.h"

#include "base/clock.h"
#include "server/blocking.h"
#include "server/file_task.h"
#include "server/finish.h"
#include "server/jobs.h"
#include "server/name_list.h"
#include "server/pool.h"
#include "server/prefetch_fill.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 16

/* That are begun, or looked up, between two looks at events. */
#define PREFETCH_AT_ONCE 4
#define SHARDS_AT_ONCE   4

/* How long the work under way may go on once the server is to stop. */
#define STOP_GRACE_NS (2 * NS_PER_SECOND)
#define STOP_POLL_MS  100

/* A decoder that closed its socket ends by itself, or is killed. */
#define END_WAIT_NS (50 * NS_PER_MS)

/* One that was killed may be in a call of a file system that has hung: its job does not wait. */
#define KILL_WAIT_NS (100 * NS_PER_MS)

/* One that ended before that, and never had an image, is not started anew at once: so will the next. */
#define LIFE_NS NS_PER_SECOND

static void wait_until(struct server *server, unsigned index, uint64_t deadline)
{
	server->decoders[index].deadline = deadline;
	decoder_set_timer(server, deadline);
}

/* Until the image is in the store, a check that finds the segment truncated does not know that
 * this image was in it. What a decoder does where there is no memory under it, dying included, is
 * no fault of the image. */
static int check_segment(struct server *server, unsigned index, int status, struct error *err)
{
	const struct decoder_work *work = &server->work[index];

	store_check_segment(&server->store, index);
	if (work->job->image->key.kind != LINK_DECODE ||
		server->store.truncations[index] == work->truncations)
		return status;
	return error_set(err, STATUS_TRY_AGAIN,
		"somebody truncated the data segment while it was decoded; ask again");
}

/* The job fails as `outcome` and the end of the process tell. */
static void fail_explained(struct server *server, unsigned index, const siginfo_t *end)
{
	struct decoder_work *work = &server->work[index];
	bool died = work->outcome != REPLY_ABANDONED && work->outcome != REPLY_UNFIT;
	struct error err;
	int status;

	if (!work->job)
		return;
	status = link_explain(
		work->outcome, end, &work->reply, server->options.decode_timeout_ns, &err);
	status = check_segment(server, index, status, &err);
	job_finish(server, index, NULL, died && status == STATUS_BAD_DATA, &err);
}

static void kill_decoder(struct server *server, unsigned index)
{
	server->work[index].killed = true;
	kill(server->decoders[index].pid, SIGKILL);
	wait_until(server, index, deadline_after(KILL_WAIT_NS));
}

/* A decoder did not do as it should. */
static void end_decoder(struct server *server, unsigned index, enum reply_outcome outcome)
{
	struct decoder_work *work = &server->work[index];

	work->outcome = outcome;
	/* With a process for each image, that one is gone, and who reports it is sound. */
	if (outcome == REPLY_DIED && server->decoders[index].setup.isolate && work->job) {
		fail_explained(server, index, &(siginfo_t){0});
		decoder_set_idle(server, index);
		return;
	}
	pool_ignore(server, index);
	decoder_set_state(server, index, DECODER_ENDING);
	work->killed = false;
	if (outcome == REPLY_DEAD)
		wait_until(server, index, deadline_after(END_WAIT_NS));
	else
		kill_decoder(server, index);
}

static void give_room(struct server *server, unsigned index, uint64_t bytes)
{
	struct decoder_work *work = &server->work[index];

	if (work->extent)
		store_give_room(&server->store, index, work->extent);
	store_check_segment(&server->store, index);
	work->extent = store_claim_backed(&server->store, index, bytes, work->job->ahead);
	if (work->extent) {
		link_give_room(
			&server->decoders[index], work->extent->offset, work->extent->length);
		return;
	}
	work->needed = bytes;
	decoder_set_state(server, index, DECODER_NEEDS_ROOM);
	server_wake_supply(server);
}

/* Whether the file is the one that was opened still. Only this thread ends the job, so it is there
 * while the lock is let go. */
static bool file_changed(struct server *server, const struct job *job)
{
	struct file_key now;
	bool changed;

	if (job->copied)
		return false;
	store_unlock(&server->store);
	changed = !files_key(job->file, &now) || memcmp(&now, &job->key, sizeof now) != 0;
	store_lock(&server->store);
	return changed;
}

static void complete(struct server *server, unsigned index, int status,
	const struct decoded *decoded, struct error *err)
{
	struct decoder_work *work = &server->work[index];

	if (!work->job) { /* NO_ROOM */
		decoder_set_idle(server, index);
		return;
	}
	/* What was wrong with a file that is not there any more says nothing of the one that is. */
	work->job->changed = (!status || status == STATUS_BAD_DATA || status == STATUS_TRY_AGAIN) &&
			     file_changed(server, work->job);
	if (work->job->changed)
		status = error_set(err, STATUS_TRY_AGAIN, "changed while it was read; ask again");
	status = check_segment(server, index, status, err);
	job_finish(server, index, status ? NULL : decoded, false, err);
	/* It has written where it was given no room. */
	if (store_has_excess(&server->store, index))
		end_decoder(server, index, REPLY_WRONG);
	else
		decoder_set_idle(server, index);
}

/* Takes in one message of a decoder. False if there is none. */
static bool take_message(struct server *server, unsigned index)
{
	struct decoder *decoder = &server->decoders[index];
	enum reply_outcome outcome;
	struct decoded decoded;
	struct error err = {0};
	int status = STATUS_OK;

	if (decoder->state == DECODER_DEAD || decoder->state == DECODER_STARTING ||
		decoder->state == DECODER_ENDING)
		return false;
	outcome = link_receive(decoder, &server->work[index].reply, &decoded, &status, &err);
	if (outcome == REPLY_NEED)
		give_room(server, index, decoded.total);
	else if (outcome == REPLY_COMPLETE)
		complete(server, index, status, &decoded, &err);
	else if (outcome != REPLY_NONE)
		end_decoder(server, index, outcome);
	return outcome != REPLY_NONE;
}

static void process_ended(struct server *server, unsigned index)
{
	struct decoder *decoder = &server->decoders[index];
	siginfo_t end;
	bool at_once;

	/* It ended before the supply thread had made it DECODER_IDLE: the event comes again. */
	if (decoder->state == DECODER_STARTING)
		return;
	/* It may have said why. */
	while (take_message(server, index))
		;
	if (decoder->state != DECODER_ENDING)
		end_decoder(server, index, REPLY_DEAD);
	if (!pool_reap(server, index, &end))
		return;
	at_once = decoder->message.number || clock_now() - decoder->started_at > LIFE_NS;
	if (!job_put_back(server, index))
		fail_explained(server, index, &end);
	decoder_set_state(server, index, DECODER_DEAD);
	if (at_once && !atomic_load(&server->stopping))
		pool_restart(server, index);
}

static void deadline_passed(struct server *server, unsigned index)
{
	struct decoder_work *work = &server->work[index];

	if (server->decoders[index].state != DECODER_ENDING) {
		end_decoder(server, index, REPLY_LATE);
	} else if (!work->killed) {
		kill_decoder(server, index);
	} else {
		const siginfo_t killed = {.si_code = CLD_KILLED, .si_status = SIGKILL};

		server->decoders[index].deadline = DEADLINE_NEVER;
		fail_explained(server, index, &killed);
	}
}

static bool has_deadline(const struct decoder *decoder)
{
	return decoder->state == DECODER_HAS_JOB || decoder->state == DECODER_NEEDS_ROOM ||
	       decoder->state == DECODER_HAS_ROOM || decoder->state == DECODER_NO_ROOM ||
	       decoder->state == DECODER_ENDING;
}

/* What a helper found, or that it did not. */
static void take_answer(struct server *server, struct file_answer *answer)
{
	if (answer->task->order.kind == HELPER_LIST)
		names_resume(server, answer);
	else
		file_task_resume(server, answer);
	free(answer->task);
	file_task_close(server, answer->fd);
}

static void timer_expired(struct server *server)
{
	uint64_t now = clock_now(), times;
	struct file_answer answer;

	if (read(server->timer, &times, sizeof times) < 0)
		return;
	server->timer_at = DEADLINE_NEVER;
	for (unsigned i = 0; i < server->options.decoders; i++) {
		const struct decoder *decoder = &server->decoders[i];

		if (has_deadline(decoder) && decoder->deadline <= now)
			deadline_passed(server, i);
		if (has_deadline(decoder))
			decoder_set_timer(server, decoder->deadline);
	}
	while (blocking_expire(server, &answer))
		take_answer(server, &answer);
}

static void take_event(struct server *server, const struct epoll_event *event)
{
	unsigned decoder = (unsigned)event->data.u64;
	struct file_answer answer;

	switch ((enum pool_source)(event->data.u64 >> 32)) {
	case POOL_WAKE:
		break; /* the loop looks why */
	case POOL_TIMER:
		timer_expired(server);
		break;
	case POOL_SOCKET:
		take_message(server, decoder);
		break;
	case POOL_PROCESS:
		process_ended(server, decoder);
		break;
	case POOL_HELPER:
		if (blocking_receive(server, decoder, &answer))
			take_answer(server, &answer);
		break;
	}
}

static bool at_work(const struct server *server)
{
	for (unsigned i = 0; i < server->options.decoders; i++)
		if (server->work[i].job)
			return true;
	return false;
}

/* What is under way is refused. */
static void abandon_all(struct server *server)
{
	for (unsigned i = 0; i < server->options.decoders; i++) {
		server->work[i].outcome = REPLY_ABANDONED;
		fail_explained(server, i, &(siginfo_t){0});
	}
}

void *completion_main(void *context)
{
	struct server *server = context;
	struct epoll_event events[EVENTS_MAX];
	uint64_t end = DEADLINE_NEVER;
	bool more = false; /* is to be begun */

	store_lock(&server->store);
	while (end == DEADLINE_NEVER ||
		(at_work(server) && clock_now() < end && !atomic_load(&server->abandon))) {
		int most = end == DEADLINE_NEVER ? -1 : deadline_poll_ms(end, STOP_POLL_MS), count;

		store_unlock(&server->store);
		count = epoll_wait(server->epoll, events, EVENTS_MAX, more ? 0 : most);
		store_lock(&server->store);
		for (int i = 0; i < count; i++)
			take_event(server, &events[i]);
		more = prefetch_fill(server, PREFETCH_AT_ONCE);
		more |= names_fill(server, SHARDS_AT_ONCE);
		if (atomic_load(&server->stopping) && end == DEADLINE_NEVER)
			end = deadline_after(STOP_GRACE_NS);
	}
	abandon_all(server);
	store_unlock(&server->store);
	return NULL;
}
