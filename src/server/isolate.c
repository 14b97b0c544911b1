/*
 * A process for each image. The one that the server started looks at no byte of a file: it makes a
 * child for each, waits until that has ended, and tells. The child maps the pages of its image and
 * one page for its answer, has the file in memory, and keeps no descriptor; when the answer goes
 * out there is nobody left who could still write.
 */
#include "base/clock.h"
#include "server/decoder.h"
#include "server/job.h"
#include "server/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child leaves behind. */
struct answer {
	_Atomic uint32_t complete;
	_Atomic int32_t call; /* that was refused, or -1 */
	struct link_reply reply;
};

static struct answer *answer;

static void note_refused(int call)
{
	atomic_store(&answer->call, call);
}

static void child_work(struct decoder_context *state, const struct link_job *job, int file,
	struct link_reply *reply)
{
	const struct sandbox sandbox = {.profile = SANDBOX_ISOLATE,
		.link = -1,
		.memory = state->setup.memory,
		.cpu_seconds = state->setup.cpu_seconds,
		.allow_degraded = state->setup.allow_degraded,
		.refused = note_refused};
	struct error err = {0};
	uint8_t *room = NULL;
	unsigned missing;
	int status;

	if (job->length) {
		room = mmap(NULL, job->length, PROT_READ | PROT_WRITE, MAP_SHARED, DECODER_SEGMENT,
			(off_t)job->offset);
		if (room == MAP_FAILED)
			room = NULL;
	}
	status = job_read(state, file, job, &err);
	if (status) {
		reply->status = (uint32_t)status;
	} else if (sandbox_enter(&sandbox, &missing, &err)) {
		reply->kind = LINK_UNFIT;
	} else {
		job_work(state, job, room, reply);
		return;
	}
	memcpy(reply->text, err.text, sizeof err.text);
}

static void child_main(
	struct decoder_context *state, const struct link_job *job, int file, pid_t parent)
{
	struct link_reply reply = {.kind = LINK_DONE, .call = -1};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_UNAVAILABLE);
	child_work(state, job, file, &reply);
	answer->reply = reply;
	atomic_store(&answer->complete, 1);
	_exit(STATUS_OK);
}

/* Waits for the child's end, which the deadline makes sure of. The signal that ended it, 0 for none
 * or -1 for the deadline. */
static int await_end(pid_t child, uint64_t deadline)
{
	int pidfd = (int)syscall(SYS_pidfd_open, child, 0), ready = 0;
	siginfo_t end = {0};

	while (pidfd >= 0) {
		ready = poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1,
			deadline_poll_ms(deadline, 1000));
		if (ready > 0 || (ready < 0 && errno != EINTR) || clock_now() >= deadline)
			break;
	}
	if (ready <= 0)
		kill(child, SIGKILL);
	while (waitid(P_PID, (id_t)child, &end, WEXITED) != 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	if (end.si_code == CLD_EXITED)
		return 0;
	return ready <= 0 ? -1 : end.si_status;
}

/* One child, from its beginning to its end. */
static void run_child(struct decoder_context *state, const struct link_job *job, int file,
	struct link_reply *reply)
{
	pid_t parent = getpid(), child;
	int signal;

	atomic_store(&answer->complete, 0);
	atomic_store(&answer->call, -1);
	child = fork();
	if (child == 0)
		child_main(state, job, file, parent);
	if (child < 0) {
		struct error err;

		reply->kind = LINK_DONE;
		reply->status = (uint32_t)error_os(&err, errno, "no process for it");
		memcpy(reply->text, err.text, sizeof err.text);
		return;
	}
	signal = await_end(child, job->deadline);
	/* A private copy; its writer is dead. */
	if (signal == 0 && atomic_load(&answer->complete)) {
		*reply = answer->reply;
	} else {
		*reply = (struct link_reply){.kind = LINK_DIED, .signal = signal};
		reply->call = atomic_load(&answer->call);
	}
	reply->number = job->number;
}

static bool make_answer(void)
{
	void *page = mmap(
		NULL, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page != MAP_FAILED)
		answer = page;
	return page != MAP_FAILED;
}

bool isolate_handle(struct decoder_context *state, struct link_job *job, int file)
{
	struct link_reply reply = {.kind = LINK_DONE, .number = job->number};
	uint64_t number = job->number;
	bool go_on = true;
	int none;

	if (!answer && !make_answer())
		return false;
	run_child(state, job, file, &reply);
	if (reply.kind == LINK_NEED) {
		go_on = job_send(&reply) && job_receive(job, &none) && job->number == number;
		if (go_on && job->length)
			run_child(state, job, file, &reply);
		if (reply.kind == LINK_NEED) {
			reply.kind = LINK_DONE;
			reply.status = STATUS_TRY_AGAIN;
		}
	}
	close(file);
	return go_on && job_send(&reply);
}
