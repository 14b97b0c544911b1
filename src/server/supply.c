#include "server/supply.h"

#include "server/finish.h"
#include "server/jobs.h"
#include "server/pool.h"

/* Starts a decoder's process, which may have left something where there is nothing. */
static void start_decoder(struct server *server, unsigned decoder)
{
	struct error err;
	struct job *job;
	int status;

	store_punch_holes(&server->store, decoder);
	store_unlock(&server->store);
	status = pool_start_process(server, decoder, &err);
	store_lock(&server->store);
	if (!status) {
		server->supply.fails = false;
		decoder_set_idle(server, decoder);
		return;
	}
	decoder_set_state(server, decoder, DECODER_DEAD);
	if (pool_all_dead(server)) {
		server->supply.fails = true;
		server->supply.failure = err;
	}
	while (pool_all_dead(server) && (job = job_take_first(server))) {
		struct error failure = err;

		job_fail(server, job, &failure);
	}
}

/* Room for the image that a decoder is at, which may have an end meanwhile. */
static void give_room(struct server *server, unsigned index)
{
	struct decoder *decoder = &server->decoders[index];
	struct decoder_work *work = &server->work[index];
	struct extent *extent;
	struct error err;
	bool ahead, joined;
	int status;

	do {
		ahead = work->job->ahead;
		status = store_make_room(&server->store, index, work->needed, ahead, &extent, &err);
		/* Somebody may wait for the image by now, who gets room of the window, too. */
		joined = work->job && ahead && !work->job->ahead;
	} while (status && joined && decoder->state == DECODER_NEEDS_ROOM);
	if (decoder->state != DECODER_NEEDS_ROOM || !work->job) {
		if (!status)
			store_give_room(&server->store, index, extent);
	} else if (status) {
		link_give_room(decoder, 0, 0);
		work->job->no_room = true;
		job_finish(server, index, NULL, false, &err);
	} else {
		work->extent = extent;
		link_give_room(decoder, extent->offset, extent->length);
	}
}

/* Whether there was something to do. */
static bool supply(struct server *server, unsigned decoder)
{
	switch (server->decoders[decoder].state) {
	case DECODER_STARTING:
		start_decoder(server, decoder);
		return true;
	case DECODER_NEEDS_ROOM:
		if (!server->work[decoder].job)
			return false;
		give_room(server, decoder);
		return true;
	case DECODER_DEAD:
	case DECODER_IDLE:
	case DECODER_HAS_JOB:
	case DECODER_HAS_ROOM:
	case DECODER_NO_ROOM:
	case DECODER_ENDING:
		break;
	}
	return false;
}

static void *supply_main(void *context)
{
	struct server *server = context;

	store_lock(&server->store);
	while (!server->supply.ending) {
		bool busy = false;

		store_mend(&server->store);
		for (unsigned i = 0; i < server->options.decoders; i++)
			busy |= supply(server, i);
		if (!busy && !server->supply.ending)
			pthread_cond_wait(&server->supply.wanted, &server->store.lock);
	}
	store_unlock(&server->store);
	return NULL;
}

int supply_start(struct server *server)
{
	int failed = pthread_create(&server->supply.thread, NULL, supply_main, server);

	server->supply.started = !failed;
	return failed;
}

void supply_stop(struct server *server)
{
	if (!server->supply.started)
		return;
	store_lock(&server->store);
	server->supply.ending = true;
	server_wake_supply(server);
	store_unlock(&server->store);
	pthread_join(server->supply.thread, NULL);
}
