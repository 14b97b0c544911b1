#include "server/job.h"

#include "base/io.h"
#include "server/decoder.h"
#include "server/descriptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of the last file whose memory is used again. */
#define KEPT_FILE (8 << 20)

bool job_receive(struct link_job *ret, int *ret_file)
{
	return descriptor_receive(DECODER_SOCKET, ret, sizeof *ret, 0, ret_file) ==
	       (ssize_t)sizeof *ret;
}

bool job_send(const struct link_reply *reply)
{
	return send(DECODER_SOCKET, reply, sizeof *reply, MSG_NOSIGNAL) == (ssize_t)sizeof *reply;
}

int job_read(struct decoder_context *state, int file, const struct link_job *job, struct error *err)
{
	size_t size = job->file_size;
	ssize_t done;

	if (size > state->room) {
		free(state->file);
		state->room = 0;
		state->file = malloc(size);
		if (!state->file)
			return error_set(
				err, STATUS_TRY_AGAIN, "no memory for a file of %zu bytes", size);
		state->room = size;
	}
	done = pread_full(file, state->file, size, (off_t)job->file_offset);
	if (done < 0)
		return error_os(err, errno, "cannot be read");
	if ((size_t)done < size)
		return error_set(err, STATUS_TRY_AGAIN, "became shorter while it was read");
	return STATUS_OK;
}

void job_forget_file(struct decoder_context *state)
{
	if (state->room <= KEPT_FILE)
		return;
	free(state->file);
	state->file = NULL;
	state->room = 0;
}

/* Decodes what was probed. */
static int decode(struct decoder_context *state, const struct image_info *info, uint8_t *room,
	uint64_t profile_at, struct image_warning *ret_warning, struct error *err)
{
	int status = image_decode(state->reader, room, info->bytes, ret_warning, err);
	const void *profile;
	size_t size;

	if (status)
		return status;
	profile = image_profile(state->reader, &size);
	if (profile && size == info->icc_bytes)
		memcpy(room + profile_at, profile, size);
	return STATUS_OK;
}

/* As job_work, whose reply->kind it leaves as it is, or makes LINK_NEED. */
static int work(struct decoder_context *state, const struct link_job *job, uint8_t *room,
	struct link_reply *reply, struct image_warning *warning, struct error *err)
{
	uint64_t profile = 0, total = 0;
	int status = image_probe(state->reader, state->file, job->file_size, &job->options,
		&job->limits, &reply->info, err);

	if (status)
		return status;
	if (!link_layout(&reply->info, &profile, &total))
		return error_set(err, STATUS_BAD_DATA, "is too large");
	if (job->kind == LINK_PROBE) {
		*warning = image_probe_warning(state->reader);
		return STATUS_OK;
	}
	if (!room || total > job->length) {
		reply->kind = LINK_NEED;
		return STATUS_OK;
	}
	return decode(state, &reply->info, room, profile, warning, err);
}

void job_work(struct decoder_context *state, const struct link_job *job, uint8_t *room,
	struct link_reply *reply)
{
	struct image_warning warning = {0};
	struct error err = {0};
	int status;

	reply->kind = LINK_DONE;
	status = work(state, job, room, reply, &warning, &err);
	reply->status = (uint32_t)status;
	memcpy(reply->text, status ? err.text : warning.text,
		status ? sizeof err.text : sizeof warning.text);
}
