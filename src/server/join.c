#include "server/join.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "exchange/classic.h"
#include "server/files.h"
#include "server/internal.h"
#include "server/link.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Address space for the segment where the limits allow images of any size. */
#define RESERVE_MAX (UINT64_C(1) << 40)

struct join {
	struct server_options options;
	void (*say)(const char *sentence);
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

static int make_room(void *context, const struct image_info *info, uint64_t bytes,
	uint64_t *ret_offset, uint64_t *ret_length, struct error *err)
{
	struct join *join = context;
	struct classic_room room;
	int status = classic_responder_room(join->responder, bytes, &room, err);

	(void)info;
	if (status)
		return status;
	*ret_offset = 0;
	*ret_length = bytes;
	return STATUS_OK;
}

/* A decoder maps one segment for life; for another there is another decoder. */
static int follow_segment(struct join *join, struct error *err)
{
	struct classic_room room;
	int status = classic_responder_room(join->responder, 1, &room, err);

	if (status || room.generation == join->generation)
		return status;
	decoder_stop(&join->decoder);
	join->decoder.segment_fd = room.fd;
	join->generation = room.generation;
	return decoder_start(&join->decoder, err);
}

static int decode(
	struct join *join, const struct resolved *file, struct image_info *ret, struct error *err)
{
	const struct image_options as_it_is = {0};
	struct decoder_job job = {.kind = LINK_DECODE,
		.number = join->answers + 1,
		.file = file->fd,
		.file_size = file->key.size,
		.options = &as_it_is,
		.limits = &join->options.limits,
		.timeout_ns = join->options.decode_timeout_ns,
		.make_room = make_room,
		.context = join,
		.abandon = &join->stopping};
	struct decoded decoded;
	struct file_key after;
	bool died;
	int status = decoder_run(&join->decoder, &job, &decoded, &died, err);

	if (status)
		return status;
	if (!files_key(file->fd, &after) || memcmp(&after, &file->key, sizeof after))
		return error_set(err, STATUS_TRY_AGAIN, "changed while it was read");
	*ret = decoded.info;
	return STATUS_OK;
}

static int answer(void *context, struct classic_responder *responder, const char *name,
	struct classic_geometry *ret, struct error *err)
{
	struct join *join = context;
	struct resolved file = {.fd = -1};
	struct image_info info = {0};
	char shown[256];
	int status;

	(void)responder;
	status = files_resolve(join->folder, name, &file, err);
	if (!status)
		status = files_check(&file, join->options.file_bytes, err);
	if (!status)
		status = follow_segment(join, err);
	if (!status && (status = decode(join, &file, &info, err)))
		error_prefix(
			err, "%s", text_escape(file.path, strlen(file.path), shown, sizeof shown));
	if (file.fd >= 0)
		close(file.fd);
	if (!status)
		*ret = (struct classic_geometry){
			info.bytes, info.width, info.height, info.channels};
	return status;
}

static void *respond(void *context)
{
	struct join *join = context;
	uint64_t most = join->options.requests;

	while (!atomic_load(&join->stopping) && !join->status && (!most || join->answers < most)) {
		enum classic_outcome turn;

		join->status = classic_responder_serve(
			join->responder, DEADLINE_NEVER, &turn, &join->failure);
		if (join->status)
			break;
		if (turn == CLASSIC_REFUSED)
			join->say(join->failure.text);
		if (turn == CLASSIC_REFUSED || turn == CLASSIC_ANSWERED)
			join->answers++;
	}
	atomic_store(&join->ended, true);
	return NULL;
}

/* Signals are for the thread that tends. */
static int start_thread(struct join *join, struct error *err)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
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

int join_start(const struct server_options *options, void (*say)(const char *sentence),
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
	join->folder = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	classic = (struct classic_responder_options){.space = options->space,
		.max_bytes = max_bytes(&options->limits),
		.answer = answer,
		.context = join};
	join->decoder.setup = server_decoder_setup(options, classic.max_bytes);
	status = join->folder < 0 ? error_os(err, errno, "cannot open '%s'", options->directory)
				  : classic_responder_new(&classic, &join->responder, err);
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
	if (*ret_done && join->status && err)
		*err = join->failure;
	return *ret_done ? join->status : STATUS_OK;
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
