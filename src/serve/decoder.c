#include "serve/decoder.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/number.h"
#include "serve/link.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the process keeps from one image to the next, so that warm memory is used again. */
struct decoder_state {
	struct image_reader *reader;
	uint8_t *segment; /* the data segment, mapped whole */
	uint64_t reserve;
	uint8_t *file; /* the bytes of the image file */
	size_t room;   /* of `file` */
};

/* One message, and the file that may come with it; -1 in *ret_file if none did. 0 when the server
 * has gone. */
static ssize_t receive_job(struct link_job *ret, int *ret_file)
{
	struct iovec part = {.iov_base = ret, .iov_len = sizeof *ret};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control};
	struct cmsghdr *header;
	ssize_t size;

	do
		size = recvmsg(DECODER_SOCKET, &message, MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	*ret_file = -1;
	header = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_file, CMSG_DATA(header), sizeof *ret_file);
	return size;
}

static bool send_reply(const struct link_reply *reply)
{
	return send(DECODER_SOCKET, reply, sizeof *reply, MSG_NOSIGNAL) == (ssize_t)sizeof *reply;
}

/* Reads the whole file, which may be growing or shrinking meanwhile: the server compares its key
 * afterwards. */
static int read_file(struct decoder_state *state, int file, size_t size, struct error *err)
{
	ssize_t done;

	if (size > state->room) {
		uint8_t *grown = realloc(state->file, size);

		if (!grown)
			return error_set(
				err, STATUS_TRY_AGAIN, "no memory for a file of %zu bytes", size);
		state->file = grown;
		state->room = size;
	}
	done = pread_full(file, state->file, size, 0);
	if (done < 0)
		return error_os(err, errno, "cannot be read");
	if ((size_t)done < size)
		return error_set(err, STATUS_TRY_AGAIN, "became shorter while it was read");
	return STATUS_OK;
}

/* Decodes what was probed into the room of the job. */
static int decode(struct decoder_state *state, const struct link_job *job,
	const struct image_info *info, uint64_t profile_at, struct image_warning *ret_warning,
	struct error *err)
{
	uint8_t *pixels = state->segment + job->offset;
	const void *profile;
	size_t size;
	int status;

	if (job->offset > state->reserve || job->length > state->reserve - job->offset)
		return error_set(err, STATUS_INTERNAL, "was given room outside the segment");
	status = image_decode(state->reader, pixels, info->bytes, ret_warning, err);
	if (status)
		return status;
	profile = image_profile(state->reader, &size);
	if (profile && size == info->icc_bytes)
		memcpy(pixels + profile_at, profile, size);
	return STATUS_OK;
}

/* Handles one image from its first message to the answer; false when the server has gone. */
static bool handle(struct decoder_state *state, struct link_job *job, int file)
{
	struct link_reply reply = {.kind = LINK_DONE, .number = job->number};
	struct image_warning warning = {0};
	uint64_t profile = 0, total = 0;
	struct error err = {0};
	int status = read_file(state, file, job->file_size, &err);

	close(file);
	if (!status)
		status = image_probe(state->reader, state->file, job->file_size, &job->options,
			&job->limits, &reply.info, &err);
	if (!status && !link_layout(&reply.info, &profile, &total))
		status = error_set(&err, STATUS_BAD_DATA, "is too large");
	if (!status && job->kind == LINK_DECODE && total > job->length) {
		uint64_t number = job->number;

		reply.kind = LINK_NEED;
		if (!send_reply(&reply) || receive_job(job, &file) != (ssize_t)sizeof *job)
			return false;
		reply.kind = LINK_DONE;
		if (job->kind != LINK_ROOM || job->number != number || job->length < total)
			status = error_set(&err, STATUS_TRY_AGAIN, "got no room");
	}
	if (!status && job->kind != LINK_PROBE)
		status = decode(state, job, &reply.info, profile, &warning, &err);
	reply.status = (uint32_t)status;
	memcpy(reply.text, status ? err.text : warning.text,
		status ? sizeof err.text : sizeof warning.text);
	return send_reply(&reply);
}

int decoder_main(int argc, char **argv)
{
	struct decoder_state state = {0};
	struct link_job job;
	void *segment;
	int file;

	/* The server sees its socket close should this come too late. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc != 3 || parse_number(argv[2], "reserve", 1, INT64_MAX, &state.reserve, NULL))
		return STATUS_USAGE;
	/* Big codec buffers come back warm instead of being mapped anew for each image. */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	segment = mmap(NULL, state.reserve, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		DECODER_SEGMENT, 0);
	if (segment == MAP_FAILED)
		return STATUS_TRY_AGAIN;
	state.segment = segment;
	close(DECODER_SEGMENT);
	if (image_reader_new(&state.reader, NULL))
		return STATUS_TRY_AGAIN;
	while (receive_job(&job, &file) == (ssize_t)sizeof job && file >= 0)
		if (!handle(&state, &job, file))
			break;
	image_reader_free(state.reader);
	free(state.file);
	munmap(segment, state.reserve);
	return STATUS_OK;
}
