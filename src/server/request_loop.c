/*
 * The request thread: watches the seats, spinning or asleep, answers at once what costs nothing
 * (pings, stored images, known failures) and hands on what takes longer: images to the decoders,
 * lists of names to the thread that makes them.
 */
#include "server/request_loop.h"

#include "base/clock.h"
#include "server/answer.h"
#include "server/jobs.h"
#include "server/names_loop.h"
#include "server/publish.h"

#include <errno.h>
#include <unistd.h>

#define WAIT_SLICE_NS (100 * NS_PER_MS)

#define OPTION_ALIKE(field)                                                                    \
	_Static_assert(                                                                        \
		offsetof(struct image_options, field) == offsetof(struct wire_options, field), \
		"options of the wire and of an image")

/* The options of a request are copied as they are. */
OPTION_ALIKE(flags);
OPTION_ALIKE(fit_height);
OPTION_ALIKE(longer);
OPTION_ALIKE(crop_height);
OPTION_ALIKE(resample);

/* Whether a program that had the image's file open for writing closed it since it was decoded. */
static bool written(const struct stored *image)
{
	return image->closes != watch_closes(image->file);
}

/* Whether what an alias says can be answered without opening the file. With the store's lock held.
 */
static bool alias_current(struct server *server, struct alias *alias)
{
	uint64_t now = server->options.fresh_ns ? clock_now() : 0;

	if (server->options.fresh_ns && !alias->dependent.changed &&
		now - alias->checked_at < server->options.fresh_ns)
		return true;
	index_writer_begin(&server->store.index);
	watch_glance(server->watch, server->readiness);
	index_writer_end(&server->store.index);
	if (!alias->dependent.tracked && !watch_same(server->watch, &alias->token) &&
		(alias->token.folder || alias->image->recent || written(alias->image) ||
			!files_unchanged(server->folder, alias->path, &alias->image->key.file)))
		return false;
	alias->checked_at = now;
	publish_alias(server, alias);
	return true;
}

static struct stored *known_image(
	struct server *server, const struct request *request, uint32_t kind)
{
	struct alias *alias = store_alias(
		&server->store, request->asked.name, kind, &request->options);

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

/* Answers with what the store knows of a file, or has it decoded. With the store's lock held. */
static void admit(struct server *server, struct request *request, uint32_t kind,
	struct resolved *file, const struct watch_token *token)
{
	struct image_key key = {.file = file->key, .options = request->options, .kind = kind};
	struct stored *image = find_image(&server->store, &key);
	struct alias *alias;
	struct error err;
	struct job *job;

	/* Whatever its key says: what was written meanwhile may not show there. */
	if (image && (written(image) || (!image->file && file->watched) ||
			     (image->recent && !watch_same(server->watch, &image->token)))) {
		store_forget(&server->store, image);
		image = NULL;
	}
	if (image && !store_may_retry(image)) {
		store_watch(&server->store, image, file->watched);
		alias = store_name(&server->store, image, request->asked.name, file->path, token,
			file->opened_at);
		if (alias)
			publish_alias(server, alias);
		answer_with(server, request, image);
		return;
	}
	job = job_new(server, request->asked.name, image, &key, file, token);
	if (!job) {
		error_os(&err, ENOMEM, "no memory for another image");
		answer_error(server, request, &err);
		return;
	}
	answer_later(server, request, job->image);
	job_submit(server, job);
}

/* An image that is not in the store, as far as its name tells. */
static void serve_file(
	struct server *server, struct request *request, uint32_t kind, struct watch_token token)
{
	struct resolved file = {.fd = -1};
	struct error err;

	if (files_resolve(server->folder, request->asked.name, &file, &err) ||
		files_check(&file, server->options.file_bytes, &err)) {
		answer_error(server, request, &err);
	} else {
		store_lock(&server->store);
		watch_file(server->watch, &file, &token);
		admit(server, request, kind, &file, &token);
		watch_drop(server->watch, file.watched);
		store_unlock(&server->store);
	}
	if (file.fd >= 0)
		close(file.fd);
}

static void serve_image(struct server *server, struct request *request)
{
	struct store *store = &server->store;
	struct stored *image;
	struct watch_token token;
	uint32_t kind = request->asked.request.operation == WIRE_GET ? LINK_DECODE : LINK_PROBE;

	store_lock(store);
	image = known_image(server, request, LINK_DECODE);
	if (kind == LINK_PROBE && (!image || image->state != STORED_READY)) {
		image = known_image(server, request, LINK_PROBE);
		image = image ? find_image(store, &image->key) : NULL;
	}
	if (image)
		answer_with(server, request, image);
	else
		token = watch_folder_of(server->watch, request->asked.name);
	store_unlock(store);
	if (!image)
		serve_file(server, request, kind, token);
}

static void serve_request(struct server *server, struct request *request)
{
	wire_count(&head_seat_counters(&server->objects.head, request->asked.seat)->requests, 1);
	if (request->refused.status) {
		answer_error(server, request, &request->refused);
		return;
	}
	switch ((enum wire_operation)request->asked.request.operation) {
	case WIRE_PING:
		answer_plainly(server, request, NULL, 0);
		break;
	case WIRE_GET:
	case WIRE_INFO:
		serve_image(server, request);
		break;
	case WIRE_NAMES:
		names_ask(server, request);
		break;
	}
}

/* Takes up the request of a seat, if it has one. */
static struct request *take_from(struct server *server, unsigned seat)
{
	struct request *request = &server->requests[seat];
	const struct wire_options *options = &request->asked.request.options;
	uint64_t sequence;

	if (!request_pending(&server->objects.head, seat, &sequence))
		return NULL;
	/* The last request of this seat was withdrawn, and its answer is not here yet. */
	if (atomic_load(&request->state) != REQUEST_NONE) {
		store_lock(&server->store);
		answer_never(server, request);
		store_unlock(&server->store);
	}
	request_read(&server->objects.head, seat, sequence, &request->asked);
	server->last_seat = seat;
	request->refused.status = STATUS_OK;
	request_check(&request->asked, &request->refused);
	memcpy(&request->options, options, sizeof request->options);
	if (request->options.scale == 1) /* as 0, not to be stored twice */
		request->options.scale = 0;
	return request;
}

struct look {
	struct server *server;
	struct request *found;
};

static bool take_found(void *context, unsigned seat)
{
	struct look *look = context;

	look->found = take_from(look->server, seat);
	return look->found;
}

/* The next seat with a request, beginning behind the one that was last served. */
static bool take_request(void *context, enum wait_where where)
{
	struct look *look = context;
	struct server *server = look->server;

	if (where == WAIT_LAST)
		return take_found(look, server->last_seat);
	return request_scan(
		&server->objects.head, server->last_seat, where == WAIT_ALL, take_found, look);
}

void request_serve(struct server *server)
{
	struct timeout never = {.deadline = DEADLINE_NEVER};
	struct look look = {.server = server};

	server->wait.spin.busy = atomic_load(&server->decoding);
	if (wait_for(&server->wait, &never, WAIT_SLICE_NS, NULL, take_request, &look) != WAIT_FOUND)
		return;
	serve_request(server, look.found);
	/* Who asked waits for a decoder now. */
	if (atomic_load(&look.found->state) != REQUEST_NONE)
		wait_skip_spin(&server->wait);
}

void *request_main(void *context)
{
	struct server *server = context;

	while (!atomic_load(&server->stopping))
		request_serve(server);
	return NULL;
}

void request_refuse_all(struct server *server)
{
	struct error stopping;

	error_set(&stopping, STATUS_UNAVAILABLE, "the server is stopping");
	for (unsigned seat = 0; seat < server->options.seats; seat++) {
		struct request *request = &server->requests[seat];

		if (atomic_load(&request->state) != REQUEST_NONE) {
			store_lock(&server->store);
			answer_never(server, request);
			store_unlock(&server->store);
			answer_error(server, request, &stopping);
		}
		request = take_from(server, seat);
		if (request)
			answer_error(server, request, &stopping);
	}
}
