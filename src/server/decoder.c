#include "server/decoder.h"

#include "base/number.h"
#include "server/job.h"
#include "server/sandbox.h"
#include "shm/segment.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The image that the process is at, for the handler below. */
static uint64_t current;

/* Where the job's room is in the segment; NULL if it has none. */
static uint8_t *room_of(const struct decoder_context *state, const struct link_job *job)
{
	uint64_t reserve = state->setup.reserve;

	if (!job->length || job->offset > reserve || job->length > reserve - job->offset)
		return NULL;
	return state->segment + job->offset;
}

/* Handles one image from its first message to the answer; false when the server has gone. */
static bool handle(struct decoder_context *state, struct link_job *job, int file)
{
	struct link_reply reply = {.kind = LINK_DONE, .number = job->number, .call = -1};
	struct error err = {0};
	uint64_t number = job->number;
	int status;

	current = number;
	status = job_read(state, file, job, &err);
	close(file);
	if (status) {
		reply.status = (uint32_t)status;
		memcpy(reply.text, err.text, sizeof err.text);
		return job_send(&reply);
	}
	job_work(state, job, room_of(state, job), &reply);
	if (reply.kind != LINK_NEED)
		return job_send(&reply);
	if (!job_send(&reply) || !job_receive(job, &file) || job->number != number)
		return false;
	job_work(state, job, room_of(state, job), &reply);
	if (reply.kind == LINK_NEED) { /* there is none: the server knows why */
		reply.kind = LINK_DONE;
		reply.status = STATUS_TRY_AGAIN;
	}
	return job_send(&reply);
}

static void report_refused(int call)
{
	const struct link_reply reply = {
		.kind = LINK_DIED, .number = current, .signal = SIGSYS, .call = call};

	job_send(&reply);
}

/* Everything that needs more than a decoder may is done in here. */
static int enter_pool(struct decoder_context *state, struct error *err)
{
	const struct sandbox sandbox = {.profile = SANDBOX_POOL,
		.link = DECODER_SOCKET,
		.memory = state->setup.memory,
		.allow_degraded = state->setup.allow_degraded,
		.refused = report_refused};
	unsigned missing;

	state->segment = mmap(NULL, state->setup.reserve, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_NORESERVE, DECODER_SEGMENT, 0);
	if (state->segment == MAP_FAILED)
		return segment_map_error(errno, state->setup.reserve, "a data segment", err);
	return sandbox_enter(&sandbox, &missing, err);
}

static bool parse_setup(int argc, char **argv, struct decoder_setup *ret)
{
	uint64_t values[DECODER_NUMBERS];

	if (argc != 2 + DECODER_NUMBERS)
		return false;
	for (int i = 0; i < DECODER_NUMBERS; i++)
		if (parse_number(argv[2 + i], "number", 0, INT64_MAX, &values[i], NULL))
			return false;
	*ret = (struct decoder_setup){.reserve = values[0],
		.memory = values[1],
		.cpu_seconds = values[2],
		.isolate = values[3] & DECODER_ISOLATE,
		.allow_degraded = values[3] & DECODER_ALLOW_DEGRADED};
	return true;
}

/* The process ends without giving anything back: that is the kernel's to do. */
int decoder_main(int argc, char **argv)
{
	struct decoder_context state = {0};
	struct error err = {0};
	struct link_job job;
	int file, status;

	/* The server sees its socket close should this come too late. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The server ignores it. A decoder that writes to a file, which its limits forbid, ends. */
	signal(SIGXFSZ, SIG_DFL);
	if (!parse_setup(argc, argv, &state.setup))
		return STATUS_USAGE;
	status = sandbox_prepare(&err);
	if (!status)
		status = image_prepare(&err);
	if (!status)
		status = image_reader_new(&state.reader, &err);
	if (!status && !state.setup.isolate)
		status = enter_pool(&state, &err);
	if (status) {
		struct link_reply reply = {.kind = LINK_UNFIT, .status = (uint32_t)status};

		memcpy(reply.text, err.text, sizeof err.text);
		job_send(&reply);
		return status;
	}
	while (job_receive(&job, &file) && file >= 0) {
		if (!(state.setup.isolate ? isolate_handle : handle)(&state, &job, file))
			break;
		job_forget_file(&state);
	}
	_exit(STATUS_OK);
}
