/*
 * Attendants: the threads that take requests.
 *
 * One of them at a time, the leader, has the baton. It watches the seats, spinning or asleep, and
 * answers at once what costs nothing: pings, stored images, known failures. For what takes longer
 * it lets the baton go, so that another leads, and does the work itself. There is one attendant
 * more than decoders, so somebody leads while all decoders are at work.
 */
#include "serve/internal.h"

#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "ipc/guard.h"
#include "ipc/semaphore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file this small may be an icon: it is offered room together with the job, which saves a message
 * each way. */
#define SMALL_FILE (32 << 10)
#define SMALL_ROOM (64 << 10)

/* ---- answers ---- */

/* Completes an answer whose fields are written. */
static void publish(struct server *server, const struct request *request, uint64_t held)
{
	if (turn_complete(&server->objects.head, request->turn.seat, request->turn.sequence,
		    request->turn.request.hold, held)) {
		if (held)
			store_note_hold(&server->store, request->turn.seat,
				request->turn.request.hold, held);
		semaphore_post(server->objects.responses[request->turn.seat]);
	}
	if (atomic_fetch_add(&server->answers, 1) + 1 == server->options.requests)
		atomic_store(&server->stopping, true);
}

static void answer_plainly(
	struct server *server, const struct request *request, const char *text, size_t length)
{
	struct wire_seat *page = head_seat(&server->objects.head, request->turn.seat);
	struct wire_answer answer = {0};

	if (length)
		turn_text(page, &answer, text, length);
	memcpy(&page->answer, &answer, sizeof answer);
	publish(server, request, 0);
}

static void answer_error(
	struct server *server, const struct request *request, const struct error *failure)
{
	turn_fail(&server->objects.head, request->turn.seat, failure);
	publish(server, request, 0);
}

/* With the store's lock held: the hold word must be there before anybody may look for room. */
static void answer_image(
	struct server *server, const struct request *request, struct stored *image, bool from_store)
{
	struct wire_seat *page = head_seat(&server->objects.head, request->turn.seat);
	struct wire_seat_counters *counters = head_seat_counters(
		&server->objects.head, request->turn.seat);
	const struct image_info *info = &image->decoded.info;
	const uint64_t words[4] = {info->bytes, info->width, info->height, info->channels};
	bool get = request->turn.request.operation == WIRE_GET, stored = image->extent != NULL;
	struct wire_answer answer = {
		.flags = (from_store && stored ? WIRE_FROM_STORE : 0) |
			 (image->decoded.warning[0] ? WIRE_WARNING : 0),
		.image = image->number,
		.stride = info->bytes / info->height,
		.icc_bytes = info->icc_bytes,
		.file_width = info->file_width,
		.file_height = info->file_height,
		.bits = info->bits,
		.format = info->format,
		.orientation = info->orientation,
		.scale = info->scale,
		.file_bits = info->file_bits,
		.file_channels = info->file_channels,
		.file_bytes = image->key.file.size,
		.gamma = info->gamma,
	};

	if (stored) {
		answer.segment = image->segment;
		answer.offset = image->extent->offset;
		answer.icc_offset = image->extent->offset + image->decoded.profile;
		answer.age = clock_now() - image->decoded_at;
	}
	if (!get)
		answer.holders = store_holders(&server->store, image);
	for (int i = 0; i < 4; i++)
		atomic_store_explicit(&page->words[i], words[i], memory_order_relaxed);
	if (image->decoded.warning[0])
		turn_text(page, &answer, image->decoded.warning, strlen(image->decoded.warning));
	memcpy(&page->answer, &answer, sizeof answer);
	if (from_store && get) {
		server_count(server, WIRE_COUNT_HITS, 1);
		atomic_fetch_add_explicit(&counters->hits, 1, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&counters->bytes, info->bytes, memory_order_relaxed);
	publish(server, request, get ? image->number : 0);
}

/* With the store's lock held. */
static void park(struct request *request, struct stored *image)
{
	request->next = image->waiters;
	image->waiters = request;
	atomic_store(&request->image, image);
}

static void unpark(struct server *server, struct request *request)
{
	struct stored *image;

	store_lock(&server->store);
	image = atomic_load(&request->image);
	if (image) {
		struct request **at = &image->waiters;

		while (*at != request)
			at = &(*at)->next;
		*at = request->next;
		atomic_store(&request->image, NULL);
	}
	store_unlock(&server->store);
}

/* Gives an image that is known to whoever asks, or lets the request wait for it. With the store's
 * lock held. */
static void settle(struct server *server, struct request *request, struct stored *image)
{
	switch (image->state) {
	case STORED_DECODING:
		park(request, image);
		break;
	case STORED_READY:
		store_touch(&server->store, image);
		answer_image(server, request, image, true);
		break;
	case STORED_FAILED:
		answer_error(server, request, &image->failure);
		break;
	}
}

/* Answers all who wait. With the store's lock held. */
static void settle_waiters(struct server *server, struct stored *image)
{
	struct request *request = image->waiters, *next;

	image->waiters = NULL;
	for (; request; request = next) {
		next = request->next;
		if (image->state == STORED_FAILED)
			answer_error(server, request, &image->failure);
		else
			answer_image(server, request, image, false);
		atomic_store(&request->image, NULL);
	}
}

/* ---- decoding ---- */

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

static void offer_room(struct placing *placing, struct decoder_job *order)
{
	struct store *store = &placing->server->store;

	if (order->kind != LINK_DECODE || order->file_size > SMALL_FILE)
		return;
	store_lock(store);
	placing->extent = store_spare_room(store, placing->segment, SMALL_ROOM);
	store_unlock(store);
	if (!placing->extent)
		return;
	order->offset = placing->extent->offset;
	order->length = placing->extent->length;
}

/* Looks whether a segment is whole: how often it was not. What a decoder does where there is no
 * memory under it, dying included, is no fault of the image. */
static unsigned segment_cuts(struct server *server, unsigned segment)
{
	unsigned cuts;

	store_lock(&server->store);
	store_check_segments(&server->store);
	cuts = server->store.cuts[segment];
	store_unlock(&server->store);
	return cuts;
}

int attendant_decode(struct server *server, unsigned segment, struct job *job, struct error *err)
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
	unsigned cuts;

	offer_room(&placing, &order);
	cuts = segment_cuts(server, segment);
	status = decoder_run(&server->decoders[segment], &order, &decoded, &died, err);
	if (!status && (!files_key(job->file, &after) || memcmp(&after, &job->key, sizeof after)))
		status = error_set(err, STATUS_TRY_AGAIN, "changed while it was read; ask again");
	if (order.kind == LINK_DECODE && segment_cuts(server, segment) != cuts)
		status = error_set(err, STATUS_TRY_AGAIN,
			"somebody cut the data segment off while it was decoded; ask again");
	if (status)
		error_prefix(
			err, "%s", text_escape(job->path, strlen(job->path), shown, sizeof shown));

	store_lock(&server->store);
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
	settle_waiters(server, image);
	store_settled(&server->store, image);
	store_unlock(&server->store);
	close(job->file);
	free(job);
	return status;
}

/* A free decoder, or -1 after the job was put in line for the next that is. */
static int decoder_for(struct server *server, struct job *job)
{
	int found = -1;

	pthread_mutex_lock(&server->pool_lock);
	for (unsigned i = 0; i < server->options.decoders && found < 0; i++)
		if (!server->decoder_busy[i])
			found = (int)i;
	if (found >= 0) {
		server->decoder_busy[found] = true;
	} else {
		*server->last_job = job;
		server->last_job = &job->next;
	}
	pthread_mutex_unlock(&server->pool_lock);
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

/* Decodes, and goes on while there are jobs in line. Called as leader, returns as leader. */
static void dispatch(struct server *server, struct job *job)
{
	int decoder = decoder_for(server, job);
	struct error err;

	if (decoder < 0)
		return;
	atomic_fetch_add(&server->decoding, 1);
	pthread_mutex_unlock(&server->baton);
	for (; job;
		job = atomic_load(&server->stopping) ? NULL : next_job(server, (unsigned)decoder))
		attendant_decode(server, (unsigned)decoder, job, &err);
	atomic_fetch_sub(&server->decoding, 1);
	pthread_mutex_lock(&server->baton);
}

/* ---- requests ---- */

/* Whether what an alias says can be answered without opening the file. With the store's lock held.
 */
static bool alias_current(struct server *server, struct alias *alias)
{
	uint64_t now = server->options.fresh_ns ? clock_now() : 0;

	if (server->options.fresh_ns && now - alias->checked_at < server->options.fresh_ns)
		return true;
	watch_update(server->watch);
	if (!watch_same(server->watch, &alias->mark) &&
		(alias->mark.folder || alias->image->recent ||
			!files_unchanged(server->folder, alias->path, &alias->image->key.file)))
		return false;
	alias->checked_at = now;
	return true;
}

static struct stored *known_image(
	struct server *server, const struct request *request, uint32_t kind)
{
	struct alias *alias = store_alias(
		&server->store, request->turn.name, kind, &request->options);

	if (!alias || store_may_retry(alias->image) || !alias_current(server, alias))
		return NULL;
	return alias->image;
}

struct job *attendant_job(struct server *server, const char *name, struct stored *again,
	const struct image_key *key, struct resolved *file, const struct watch_mark *mark)
{
	struct job *job = calloc(1, sizeof *job);
	struct stored *image = job && !again ? store_add(&server->store, key) : again;

	if (!job || !image) {
		free(job);
		return NULL;
	}
	image->state = STORED_DECODING;
	image->mark = *mark;
	image->recent = file->recent;
	store_name(&server->store, image, name, file->path, mark, clock_now());
	*job = (struct job){.image = image, .file = file->fd, .key = file->key};
	strcpy(job->path, file->path);
	file->fd = -1;
	return job;
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

/* The job for a file that the store does not know; NULL if it does, or if there is no memory: then
 * all is answered. */
static struct job *admit(struct server *server, struct request *request, uint32_t kind,
	struct resolved *file, const struct watch_mark *mark)
{
	struct image_key key = {.file = file->key, .options = request->options, .kind = kind};
	struct stored *image = find_image(&server->store, &key);
	struct error err;
	struct job *job;

	if (image && image->recent && !watch_same(server->watch, &image->mark)) {
		store_forget(&server->store, image);
		image = NULL;
	}
	if (image && !store_may_retry(image)) {
		store_name(
			&server->store, image, request->turn.name, file->path, mark, clock_now());
		settle(server, request, image);
		return NULL;
	}
	job = attendant_job(server, request->turn.name, image, &key, file, mark);
	if (!job) {
		error_os(&err, ENOMEM, "no memory for another image");
		answer_error(server, request, &err);
		return NULL;
	}
	park(request, job->image);
	return job;
}

static void serve_image(struct server *server, struct request *request)
{
	struct store *store = &server->store;
	struct resolved file = {.fd = -1};
	struct stored *image;
	struct watch_mark mark;
	struct error err;
	struct job *job = NULL;
	uint32_t kind = request->turn.request.operation == WIRE_GET ? LINK_DECODE : LINK_PROBE;

	store_lock(store);
	image = known_image(server, request, LINK_DECODE);
	if (kind == LINK_PROBE && (!image || image->state != STORED_READY)) {
		image = known_image(server, request, LINK_PROBE);
		image = image ? find_image(store, &image->key) : NULL;
	}
	if (image) {
		settle(server, request, image);
		store_unlock(store);
		return;
	}
	mark = watch_folder_of(server->watch, request->turn.name);
	store_unlock(store);

	if (files_resolve(server->folder, request->turn.name, &file, &err) ||
		files_check(&file, server->options.file_bytes, &err)) {
		answer_error(server, request, &err);
	} else {
		if (!file.watchable)
			mark.folder = 0;
		store_lock(store);
		job = admit(server, request, kind, &file, &mark);
		store_unlock(store);
	}
	if (file.fd >= 0)
		close(file.fd);
	if (job)
		dispatch(server, job);
}

/* A listing begins with the empty name, and is then handed out as it was at that moment. */
static void serve_names(struct server *server, struct request *request)
{
	char text[WIRE_TEXT_SIZE];
	struct error err;
	int status = STATUS_OK;
	size_t used = 0;

	atomic_store(&request->busy, true);
	pthread_mutex_unlock(&server->baton);
	pthread_mutex_lock(&server->names_lock);
	if (!request->turn.name[0] || !server->names) {
		free(server->names);
		server->names = NULL;
		status = files_list(server->folder, &server->names, &server->names_size, &err);
	}
	if (!status)
		used = turn_names(server->names, server->names_size, request->turn.name, text);
	pthread_mutex_unlock(&server->names_lock);
	if (status)
		answer_error(server, request, &err);
	else
		answer_plainly(server, request, text, used);
	atomic_store(&request->busy, false);
	/* The leader may have passed the requester's next request over while this one was busy. */
	semaphore_post(server->objects.request);
	pthread_mutex_lock(&server->baton);
}

static void serve_request(struct server *server, struct request *request)
{
	atomic_fetch_add_explicit(
		&head_seat_counters(&server->objects.head, request->turn.seat)->requests, 1,
		memory_order_relaxed);
	if (request->refused.status) {
		answer_error(server, request, &request->refused);
		return;
	}
	switch ((enum wire_operation)request->turn.request.operation) {
	case WIRE_PING:
		answer_plainly(server, request, NULL, 0);
		break;
	case WIRE_GET:
	case WIRE_INFO:
		serve_image(server, request);
		break;
	case WIRE_NAMES:
		serve_names(server, request);
		break;
	}
}

/* Takes up the request of a seat, if it has one. */
static struct request *take_from(struct server *server, unsigned seat)
{
	struct request *request = &server->requests[seat];
	const struct wire_options *options = &request->turn.request.options;
	uint64_t sequence;

	if (!turn_requested(&server->objects.head, seat, &sequence) ||
		atomic_load_explicit(&request->busy, memory_order_acquire))
		return NULL;
	/* The last request of this seat was withdrawn, and its image is not here yet. */
	if (atomic_load(&request->image))
		unpark(server, request);
	if (!turn_take(&server->objects.head, seat, sequence, &request->turn))
		return NULL;
	request->refused.status = STATUS_OK;
	turn_check(&request->turn, &request->refused);
	request->options = (struct image_options){.scale = options->scale > 1 ? options->scale : 0,
		.channels = options->channels,
		.layout = options->layout,
		.flags = options->flags,
		.fit_width = options->fit_width,
		.fit_height = options->fit_height};
	return request;
}

struct look {
	struct server *server;
	struct request *found;
};

/* The next seat with a request, beginning behind the one that was last served. */
static bool take_request(void *context)
{
	struct look *look = context;
	struct server *server = look->server;
	unsigned seats = server->options.seats, seat = server->next_seat;

	for (unsigned i = 0; i < seats; i++, seat = seat + 1 < seats ? seat + 1 : 0) {
		look->found = take_from(server, seat);
		if (look->found) {
			server->next_seat = seat + 1 < seats ? seat + 1 : 0;
			return true;
		}
	}
	return false;
}

void *attendant_main(void *context)
{
	struct server *server = context;

	if (server->preload)
		preload_work(server);
	pthread_mutex_lock(&server->baton);
	while (!atomic_load(&server->stopping)) {
		struct look look = {.server = server};

		server->wait.spin.wanted = atomic_load(&server->decoding);
		if (turn_await(
			    &server->wait, &server->stopping, DEADLINE_NEVER, take_request, &look))
			serve_request(server, look.found);
	}
	pthread_mutex_unlock(&server->baton);
	return NULL;
}

void attendant_refuse_all(struct server *server)
{
	struct error stopping;

	error_set(&stopping, STATUS_UNAVAILABLE, "the server is stopping");
	for (unsigned seat = 0; seat < server->options.seats; seat++) {
		struct request *request = &server->requests[seat];

		if (atomic_load(&request->image)) {
			unpark(server, request);
			answer_error(server, request, &stopping);
		}
		request = take_from(server, seat);
		if (request)
			answer_error(server, request, &stopping);
	}
	for (struct job *job = server->first_job, *next; job; job = next) {
		next = job->next;
		close(job->file);
		free(job);
	}
	server->first_job = NULL;
}
