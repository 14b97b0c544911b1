/*
 * Jobs: what workers do with a decoder, and the line of those that wait for one.
 */
#include "server/answer.h"
#include "server/evict.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file this small may be an icon: it is offered room together with the job, which saves a message
 * each way. So is what was decoded before and has changed, which a camera's picture does all the
 * time. */
#define SMALL_FILE (32 << 10)
#define SMALL_ROOM (64 << 10)

/* What make_room needs to know while a decoder is at work. */
struct placing {
	struct server *server;
	unsigned segment;
	struct extent *extent; /* that the decoder may write; NULL for none */
};

static int make_room(void *context, const struct image_info *info, uint64_t bytes,
	uint64_t *ret_offset, uint64_t *ret_length, struct error *err)
{
	struct placing *placing = context;
	struct store *store = &placing->server->store;
	int status;

	(void)info;
	store_lock(store);
	if (placing->extent)
		store_give_room(store, placing->segment, placing->extent);
	placing->extent = NULL;
	status = store_make_room(store, placing->segment, bytes, &placing->extent, err);
	store_unlock(store);
	if (status)
		return status;
	*ret_offset = placing->extent->offset;
	*ret_length = placing->extent->length;
	return STATUS_OK;
}

/* With the store's lock held. */
static void offer_room(struct placing *placing, uint64_t expected, struct decoder_job *order)
{
	struct store *store = &placing->server->store;

	if (order->kind != LINK_DECODE || (!expected && order->file_size > SMALL_FILE))
		return;
	if (!expected)
		placing->extent = store_spare_room(store, placing->segment, SMALL_ROOM);
	else if (store_make_room(store, placing->segment, expected, &placing->extent, NULL))
		placing->extent = NULL;
	if (!placing->extent)
		return;
	order->offset = placing->extent->offset;
	order->length = placing->extent->length;
}

/* Looks whether a segment is whole: how often it was not. What a decoder does where there is no
 * memory under it, dying included, is no fault of the image. With the store's lock held. */
static unsigned segment_truncations(struct store *store, unsigned segment)
{
	store_check_segments(store);
	return store->truncations[segment];
}

int decode_job_run(struct server *server, unsigned segment, struct job *job, struct error *err)
{
	struct placing placing = {.server = server, .segment = segment};
	struct stored *image = job->image;
	struct decoder_job order = {.kind = (enum link_kind)image->key.kind,
		.number = image->number,
		.file = job->file,
		.file_size = job->key.size,
		.options = &image->key.options,
		.limits = &server->options.limits,
		.timeout_ns = server->options.decode_timeout_ns,
		.make_room = make_room,
		.context = &placing,
		.abandon = &server->abandon};
	struct decoded decoded;
	struct file_key after;
	char shown[256];
	bool died;
	int status;
	unsigned truncations;

	store_lock(&server->store);
	offer_room(&placing, job->expected, &order);
	truncations = segment_truncations(&server->store, segment);
	store_unlock(&server->store);
	status = decoder_run(&server->decoders[segment], &order, &decoded, &died, err);
	if (!status && (!files_key(job->file, &after) || memcmp(&after, &job->key, sizeof after)))
		status = error_set(err, STATUS_TRY_AGAIN, "changed while it was read; ask again");

	/* Until the image is in the store, whoever finds that the segment was truncated does not know
	 * that this image was in it. */
	store_lock(&server->store);
	if (order.kind == LINK_DECODE &&
		segment_truncations(&server->store, segment) != truncations)
		status = error_set(err, STATUS_TRY_AGAIN,
			"somebody truncated the data segment while it was decoded; ask again");
	if (status)
		error_prefix(
			err, "%s", text_escape(job->path, strlen(job->path), shown, sizeof shown));
	if (status) {
		if (placing.extent)
			store_give_room(&server->store, segment, placing.extent);
		server_count(server, WIRE_COUNT_FAILURES, 1);
		store_failed(image, err, died && status == STATUS_BAD_DATA);
	} else {
		store_ready(&server->store, image, segment, placing.extent, &decoded, clock_now());
		if (placing.extent) {
			server_count(server, WIRE_COUNT_DECODES, 1);
			server_count(server, WIRE_COUNT_DECODED_BYTES, decoded.info.bytes);
		}
	}
	answer_waiters(server, image);
	store_settled(&server->store, image);
	store_unlock(&server->store);
	close(job->file);
	free(job);
	return status;
}

/* A free decoder, or -1 after the job was put in line for the next that is. */
static int decoder_for(struct server *server, struct job *job)
{
	int found;

	store_lock(&server->store);
	pthread_mutex_lock(&server->pool_lock);
	found = evict_choose_segment(&server->store, server->decoder_busy);
	if (found >= 0) {
		server->decoder_busy[found] = true;
	} else {
		*server->last_job = job;
		server->last_job = &job->next;
	}
	pthread_mutex_unlock(&server->pool_lock);
	store_unlock(&server->store);
	return found;
}

/* The next job in line; the decoder is free when there is none. */
static struct job *next_job(struct server *server, unsigned decoder)
{
	struct job *job;

	pthread_mutex_lock(&server->pool_lock);
	job = server->first_job;
	if (job) {
		server->first_job = job->next;
		if (!job->next)
			server->last_job = &server->first_job;
	} else {
		server->decoder_busy[decoder] = false;
	}
	pthread_mutex_unlock(&server->pool_lock);
	return job;
}

void decode_job_dispatch(struct server *server, struct job *job)
{
	int decoder = decoder_for(server, job);
	struct worker *self;
	struct error err;

	if (decoder < 0)
		return;
	atomic_fetch_add(&server->decoding, 1);
	self = leader_unlock(server);
	for (; job;
		job = atomic_load(&server->stopping) ? NULL : next_job(server, (unsigned)decoder))
		decode_job_run(server, (unsigned)decoder, job, &err);
	atomic_fetch_sub(&server->decoding, 1);
	leader_lock(self);
}
