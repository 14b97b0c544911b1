#include "server/join.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/process.h"
#include "base/text.h"
#include "exchange/classic.h"
#include "server/files.h"
#include "server/internal.h"
#include "server/link.h"
#include "server/pool.h"
#include "server/shard_name.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Address space for the segment where the limits allow images of any size. */
#define RESERVE_MAX (UINT64_C(1) << 40)

/* How soon a stop is noticed. */
#define STOP_POLL_MS 100

/* A decoder that closed its socket ends by itself, or is killed. */
#define END_WAIT_NS (50 * NS_PER_MS)

struct join {
	struct server_options options;
	void (*say)(const char *message);
	int folder;
	struct classic_responder *responder;
	struct decoder decoder;
	uint64_t generation; /* of the segment that the decoder maps; 0: none */
	uint64_t answers;
	pthread_t thread;
	bool started;
	atomic_bool stopping, ended; /* ended: `status` and `failure` are there */
	int status;
	struct error failure;
};

static int start_decoder(struct join *join, struct error *err)
{
	int status = decoder_start(&join->decoder, err);

	join->decoder.state = status ? DECODER_DEAD : DECODER_IDLE;
	return status;
}

/* A decoder maps one segment for life; for another there is another decoder. */
static int follow_segment(struct join *join, struct error *err)
{
	struct classic_room room;
	int status = classic_responder_room(join->responder, 1, &room, err);

	if (status || room.generation == join->generation)
		return status;
	decoder_stop(&join->decoder);
	join->decoder.state = DECODER_DEAD;
	join->decoder.segment_fd = room.fd;
	join->generation = room.generation;
	return start_decoder(join, err);
}

/* Waits for what the decoder says next. */
static enum reply_outcome await_reply(struct join *join, struct link_reply *reply,
	struct decoded *decoded, int *ret_status, struct error *err)
{
	struct decoder *decoder = &join->decoder;

	for (;;) {
		struct pollfd wait = {.fd = decoder->socket, .events = POLLIN};
		enum reply_outcome outcome = link_receive(decoder, reply, decoded, ret_status, err);

		if (outcome != REPLY_NONE)
			return outcome;
		if (atomic_load(&join->stopping))
			return REPLY_ABANDONED;
		if (clock_now() >= decoder->deadline)
			return REPLY_LATE;
		poll(&wait, 1, deadline_poll_ms(decoder->deadline, STOP_POLL_MS));
	}
}

/* Ends a decoder that did not do as it should, and tells why. */
static int end_decoder(struct join *join, enum reply_outcome outcome,
	const struct link_reply *reply, struct error *err)
{
	struct decoder *decoder = &join->decoder;
	siginfo_t end = {0};

	/* With a process for each image, that one is gone, and who reports it is sound. */
	if (outcome != REPLY_DIED || !decoder->setup.isolate) {
		if (outcome != REPLY_DEAD ||
			!decoder_await_end(decoder, deadline_after(END_WAIT_NS), &end)) {
			end = (siginfo_t){.si_code = CLD_KILLED, .si_status = SIGKILL};
			decoder_stop(decoder);
		}
		decoder->state = DECODER_DEAD;
	}
	return link_explain(outcome, &end, reply, join->options.decode_timeout_ns, err);
}

/* Makes room for what the decoder needs. Without, it lets go of the image. */
static int give_room(struct join *join, const struct decoded *decoded, struct error *err)
{
	struct classic_room room;
	int status = classic_responder_room(join->responder, decoded->total, &room, err);

	link_give_room(&join->decoder, 0, status ? 0 : decoded->total);
	return status;
}

static int decode(
	struct join *join, const struct resolved *file, struct image_info *ret, struct error *err)
{
	const struct link_job job = {.kind = LINK_DECODE,
		.number = join->answers + 1,
		.file_offset = file->offset,
		.file_size = file->size,
		.limits = join->options.limits};
	enum reply_outcome outcome;
	struct link_reply reply;
	struct decoded decoded;
	struct file_key after;
	int status = STATUS_OK, room = STATUS_OK;

	if (join->decoder.state == DECODER_DEAD)
		status = start_decoder(join, err);
	if (status)
		return status;
	link_ask(&join->decoder, &job, file->fd, join->options.decode_timeout_ns);
	outcome = await_reply(join, &reply, &decoded, &status, err);
	if (outcome == REPLY_NEED) {
		room = give_room(join, &decoded, err);
		outcome = await_reply(join, &reply, &decoded, &status, room ? NULL : err);
	}
	if (outcome != REPLY_COMPLETE)
		status = end_decoder(join, outcome, &reply, room ? NULL : err);
	else
		join->decoder.state = DECODER_IDLE;
	if (room || status)
		return room ? room : status;
	if (!files_key(file->fd, &after) || memcmp(&after, &file->key, sizeof after))
		return error_set(err, STATUS_TRY_AGAIN, "changed while it was read");
	*ret = decoded.info;
	return STATUS_OK;
}

static int answer_open(struct join *join, const struct resolved *file, struct classic_geometry *ret,
	struct error *err)
{
	struct image_info info = {0};
	char shown[256];
	int status = files_check(file, join->options.file_bytes, err);

	if (status)
		return status;
	status = follow_segment(join, err);
	if (status)
		return status;
	status = decode(join, file, &info, err);
	if (status) {
		error_prefix(err, status, "%s",
			text_escape(file->path, strlen(file->path), shown, sizeof shown));
		return status;
	}
	*ret = (struct classic_geometry){info.bytes, info.width, info.height, info.channels};
	return STATUS_OK;
}

static int answer(void *context, struct classic_responder *responder, const char *name,
	struct classic_geometry *ret, struct error *err)
{
	struct join *join = context;
	struct resolved file = {.fd = -1};
	char shown[256];
	int status = files_resolve(join->folder, name, &file, err);

	(void)responder;
	if (status)
		return status;
	if (file.shard)
		status = error_set(err, STATUS_NOT_FOUND,
			"%s: images in tar shards are not served with --join",
			text_escape(name, strlen(name), shown, sizeof shown));
	else
		status = answer_open(join, &file, ret, err);
	close(file.fd);
	return status;
}

static void *respond(void *context)
{
	struct join *join = context;
	uint64_t most = join->options.requests;

	while (!atomic_load(&join->stopping) && !join->status && (!most || join->answers < most)) {
		enum classic_outcome outcome;

		join->status = classic_responder_serve(
			join->responder, DEADLINE_NEVER, &outcome, &join->failure);
		if (join->status)
			break;
		if (outcome == CLASSIC_REFUSED)
			join->say(join->failure.text);
		if (outcome == CLASSIC_REFUSED || outcome == CLASSIC_ANSWERED)
			join->answers++;
	}
	atomic_store(&join->ended, true);
	return NULL;
}

/* Signals are for the thread that does upkeep. */
static int start_thread(struct join *join, struct error *err)
{
	sigset_t before;
	int failed;

	process_block_signals(&before);
	failed = pthread_create(&join->thread, NULL, respond, join);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	join->started = !failed;
	return failed ? error_os(err, failed, "cannot start a thread") : STATUS_OK;
}

/* Bytes that the segment may grow to: an image and its colour profile. */
static uint64_t max_bytes(const struct image_limits *limits)
{
	uint64_t bytes;

	if (limits->bytes && limits->chunk_bytes &&
		size_add(limits->bytes, limits->chunk_bytes + LINK_PROFILE_ALIGN, &bytes) &&
		bytes < RESERVE_MAX)
		return bytes;
	return RESERVE_MAX;
}

static int open_folder(const char *directory, int *ret, struct error *err)
{
	*ret = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret >= 0)
		return STATUS_OK;
	if (errno == ENOTDIR && shard_name_ends(directory, strlen(directory)))
		return error_set(err, STATUS_USAGE,
			"tar shards are not served with --join: '%s' is no folder", directory);
	return error_os(err, errno, "cannot open '%s'", directory);
}

int join_start(const struct server_options *options, void (*say)(const char *message),
	struct join **ret, struct error *err)
{
	int status = server_check_sandbox(options, &(unsigned){0}, err);
	struct classic_responder_options classic;
	struct join *join;

	if (status)
		return status;
	join = calloc(1, sizeof *join);
	if (!join)
		return error_os(err, ENOMEM, "cannot start");
	join->options = *options;
	join->say = say;
	join->decoder = DECODER_NONE;
	classic = (struct classic_responder_options){.space = options->space,
		.max_bytes = max_bytes(&options->limits),
		.answer = answer,
		.context = join};
	join->decoder.setup = pool_decoder_setup(options, classic.max_bytes);
	status = open_folder(options->directory, &join->folder, err);
	if (!status)
		status = classic_responder_new(&classic, &join->responder, err);
	if (!status)
		status = start_thread(join, err);
	if (status) {
		join_stop(join);
		return status;
	}
	*ret = join;
	return STATUS_OK;
}

int join_upkeep(struct join *join, bool *ret_done, struct error *err)
{
	*ret_done = atomic_load(&join->ended);
	if (!*ret_done || !join->status)
		return STATUS_OK;
	error_copy(err, &join->failure);
	return join->status;
}

void join_stop(struct join *join)
{
	if (!join)
		return;
	atomic_store(&join->stopping, true);
	if (join->started)
		pthread_join(join->thread, NULL);
	decoder_stop(&join->decoder);
	classic_responder_free(join->responder);
	if (join->folder >= 0)
		close(join->folder);
	free(join);
}
