#include "server/link.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "server/decoder.h"
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* For who reports a late image to be heard before its own process is taken for stuck. */
#define ISOLATE_GRACE_NS (500 * NS_PER_MS)

extern char **environ;

bool link_layout(const struct image_info *info, uint64_t *ret_profile, uint64_t *ret_total)
{
	uint64_t profile = 0, total = info->bytes;

	if (info->icc_bytes && (!size_align(info->bytes, LINK_PROFILE_ALIGN, &profile) ||
				       !size_add(profile, info->icc_bytes, &total)))
		return false;
	*ret_profile = profile;
	*ret_total = total;
	return true;
}

int decoder_start(struct decoder *decoder, struct error *err)
{
	const struct decoder_setup *setup = &decoder->setup;
	char numbers[DECODER_NUMBERS][24];
	char *arguments[] = {(char *)"shmsem", (char *)DECODER_MODE, numbers[0], numbers[1],
		numbers[2], numbers[3], NULL};
	const uint64_t values[DECODER_NUMBERS] = {setup->reserve, setup->memory, setup->cpu_seconds,
		(setup->isolate ? DECODER_ISOLATE : 0) |
			(setup->allow_degraded ? DECODER_ALLOW_DEGRADED : 0)};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	AUTO_CLOSE int ours = -1, near = -1, theirs = -1, segment = -1;
	int pair[2], failed;
	sigset_t signals;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_os(err, errno, "cannot start a decoder");
	ours = pair[0];
	near = pair[1];
	/* Above the numbers they are to get in the child, so that neither dup2 there overwrites the
	 * other's source. */
	theirs = fcntl(near, F_DUPFD_CLOEXEC, DECODER_SEGMENT + 1);
	segment = fcntl(decoder->segment_fd, F_DUPFD_CLOEXEC, DECODER_SEGMENT + 1);
	if (theirs < 0 || segment < 0)
		return error_os(err, errno, "cannot start a decoder");
	for (size_t i = 0; i < DECODER_NUMBERS; i++)
		snprintf(numbers[i], sizeof numbers[i], "%llu", (unsigned long long)values[i]);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, theirs, DECODER_SOCKET);
	posix_spawn_file_actions_adddup2(&actions, segment, DECODER_SEGMENT);
	/* Signals of the terminal are the server's to act on; the decoder ends with its socket. */
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attributes, &signals);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	failed = posix_spawn(
		&decoder->pid, "/proc/self/exe", &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (failed) {
		decoder->pid = 0;
		return error_os(err, failed, "cannot start a decoder");
	}
	decoder->pidfd = (int)syscall(SYS_pidfd_open, decoder->pid, 0);
	decoder->socket = steal_fd(&ours);
	if (decoder->starts)
		atomic_fetch_add_explicit(decoder->starts, 1, memory_order_relaxed);
	return STATUS_OK;
}

/* Reaps the process, which must be dead or dying. */
static void decoder_reap(struct decoder *decoder, siginfo_t *ret)
{
	*ret = (siginfo_t){0};
	while (waitid(P_PID, (id_t)decoder->pid, ret, WEXITED) != 0 && errno == EINTR)
		;
	close(decoder->socket);
	if (decoder->pidfd >= 0)
		close(decoder->pidfd);
	decoder->pid = 0;
	decoder->socket = decoder->pidfd = -1;
}

void decoder_stop(struct decoder *decoder)
{
	siginfo_t end;

	if (!decoder->pid)
		return;
	kill(decoder->pid, SIGKILL);
	decoder_reap(decoder, &end);
}

static int send_job(const struct decoder *decoder, const struct link_job *job, int file)
{
	struct iovec part = {.iov_base = (void *)job, .iov_len = sizeof *job};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (file >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &file, sizeof file);
	}
	return sendmsg(decoder->socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *job ? 0 : -1;
}

static enum reply_outcome receive_reply(const struct decoder *decoder, uint64_t deadline,
	const atomic_bool *abandon, struct link_reply *ret)
{
	for (;;) {
		struct pollfd wait = {.fd = decoder->socket, .events = POLLIN};
		int ready = poll(&wait, 1, deadline_poll_ms(deadline, 100));
		ssize_t size;

		if (ready < 0 && errno != EINTR)
			return REPLY_DEAD;
		if (ready <= 0) {
			if (abandon && atomic_load(abandon))
				return REPLY_ABANDONED;
			if (clock_now() >= deadline)
				return REPLY_LATE;
			continue;
		}
		size = recv(decoder->socket, ret, sizeof *ret, MSG_DONTWAIT);
		if (size == (ssize_t)sizeof *ret) {
			ret->text[sizeof ret->text - 1] = '\0';
			return ret->kind == LINK_DIED    ? REPLY_DIED
			       : ret->kind == LINK_UNFIT ? REPLY_UNFIT
							 : REPLY_COMPLETE;
		}
		return size <= 0 ? REPLY_DEAD : REPLY_WRONG;
	}
}

/* Why the process went, as an outcome of the image it was at. */
static int explain_signal(int signal, struct error *err)
{
	const char *name = sigabbrev_np(signal);

	switch (signal) {
	case SIGSEGV:
	case SIGBUS:
	case SIGABRT:
	case SIGILL:
	case SIGFPE:
	case SIGSYS:
	case SIGTRAP:
		return error_set(err, STATUS_BAD_DATA, "its decoder died of SIG%s", name);
	case SIGXCPU:
		return error_set(
			err, STATUS_BAD_DATA, "its decoder used up its processor time (SIGXCPU)");
	case SIGKILL:
		return error_set(err, STATUS_TRY_AGAIN,
			"its decoder was killed by SIGKILL, which is also what the kernel does "
			"when memory runs out");
	default:
		return error_set(err, STATUS_TRY_AGAIN, "its decoder was killed by SIG%s",
			name ? name : "?");
	}
}

static int explain_late(uint64_t timeout_ns, struct error *err)
{
	char limit[SIZE_TEXT_SIZE];

	return error_set(err, STATUS_BAD_DATA, "decoding takes longer than %s (--decode-timeout)",
		format_duration(timeout_ns, limit));
}

/* What a decoder says of its own or its child's end. */
static int explain_reply(const struct link_reply *reply, uint64_t timeout_ns, struct error *err)
{
	char name[SANDBOX_CALL_NAME_SIZE];

	if (reply->call >= 0)
		return error_set(err, STATUS_BAD_DATA,
			"its decoder died of SIGSYS: it made the system call %s, which is refused",
			sandbox_call_name(reply->call, name));
	if (reply->signal < 0)
		return explain_late(timeout_ns, err);
	if (reply->signal)
		return explain_signal(reply->signal, err);
	return error_set(err, STATUS_BAD_DATA, "its decoder ended without an answer");
}

/* It could not begin: our own words, and no fault of the image. */
static int explain_unfit(const struct link_reply *reply, struct error *err)
{
	char shown[ERROR_TEXT_SIZE];

	return error_set(err,
		reply->status == STATUS_TRY_AGAIN ? STATUS_TRY_AGAIN : STATUS_INTERNAL,
		"no decoder: %s",
		text_escape(reply->text, strlen(reply->text), shown, sizeof shown));
}

int link_explain(enum reply_outcome outcome, const siginfo_t *end, const struct link_reply *reply,
	uint64_t timeout_ns, struct error *err)
{
	switch (outcome) {
	case REPLY_ABANDONED:
		return error_set(err, STATUS_UNAVAILABLE, "the server is stopping");
	case REPLY_LATE:
		return explain_late(timeout_ns, err);
	case REPLY_DIED:
		return explain_reply(reply, timeout_ns, err);
	case REPLY_UNFIT:
		return explain_unfit(reply, err);
	case REPLY_DEAD:
		if (end->si_code != CLD_EXITED)
			return explain_signal(end->si_status, err);
		return error_set(
			err, STATUS_TRY_AGAIN, "its decoder ended with status %d", end->si_status);
	case REPLY_COMPLETE:
	case REPLY_WRONG:
		break;
	}
	return error_set(err, STATUS_BAD_DATA, "its decoder answered out of turn and was ended");
}

/* Ends a decoder that did not do as it should, starts the next, and tells why. */
static int replace_decoder(struct decoder *decoder, enum reply_outcome outcome,
	const struct link_reply *reply, uint64_t timeout_ns, struct error *err)
{
	siginfo_t end = {0};
	int status;

	/* With a process for each image, that one is gone, and who reports it is sound. */
	if (outcome == REPLY_DIED && decoder->setup.isolate)
		return link_explain(outcome, &end, reply, timeout_ns, err);
	/* A closed socket and a running process: it ends itself on the closed socket, or is made
	 * to. */
	if (outcome != REPLY_DEAD ||
		(decoder->pidfd >= 0 &&
			poll(&(struct pollfd){.fd = decoder->pidfd, .events = POLLIN}, 1, 50) == 0))
		kill(decoder->pid, SIGKILL);
	decoder_reap(decoder, &end);
	status = link_explain(outcome, &end, reply, timeout_ns, err);
	if (outcome != REPLY_ABANDONED)
		decoder_start(decoder, NULL);
	return status;
}

/* The geometry that a decoder claims must fit together and keep to the limits, whatever the decoder
 * has checked itself. */
static bool info_fits(
	const struct image_info *info, const struct image_limits *limits, struct decoded *ret)
{
	uint64_t pixels, bytes;

	if (!info->width || !info->height || info->width > INT32_MAX || info->height > INT32_MAX ||
		!info->channels || info->channels > 4 || (info->bits != 8 && info->bits != 16) ||
		!size_multiply(info->width, info->height, &pixels) ||
		!size_multiply(pixels, (uint64_t)info->channels * (info->bits / 8), &bytes) ||
		bytes != info->bytes ||
		(uint64_t)info->width * info->channels * (info->bits / 8) > UINT32_MAX)
		return false;
	if ((limits->pixels && pixels > limits->pixels) ||
		(limits->bytes && bytes > limits->bytes) ||
		(limits->side && (info->width > limits->side || info->height > limits->side)))
		return false;
	if (limits->chunk_bytes && info->icc_bytes > limits->chunk_bytes)
		return false;
	ret->info = *info;
	return link_layout(info, &ret->profile, &ret->total);
}

static int give_room(const struct decoder *decoder, const struct decoder_job *job,
	struct link_job *message, struct decoded *decoded, struct error *err)
{
	int status = job->make_room(job->context, &decoded->info, decoded->total, &message->offset,
		&message->length, err);

	message->kind = LINK_ROOM;
	if (status)
		message->length = 0;
	/* A decoder that cannot be told is dead, which the next receive finds. */
	send_job(decoder, message, -1);
	return status;
}

enum reply_outcome link_talk(const struct decoder *decoder, const struct decoder_job *job,
	struct link_reply *reply, struct decoded *ret, int *ret_status, struct error *err)
{
	struct link_job message = {.kind = job->kind,
		.number = job->number,
		.offset = job->offset,
		.length = job->length,
		.file_size = job->file_size,
		.options = *job->options,
		.limits = *job->limits};
	uint64_t deadline = deadline_after(job->timeout_ns);
	enum reply_outcome outcome = REPLY_DEAD;
	struct decoded decoded = {0};

	message.deadline = deadline;
	if (decoder->setup.isolate) /* it keeps the time itself, and reports */
		deadline = deadline_after(job->timeout_ns + ISOLATE_GRACE_NS);
	*ret_status = STATUS_OK;
	if (send_job(decoder, &message, job->file) == 0)
		outcome = receive_reply(decoder, deadline, job->abandon, reply);
	if (outcome == REPLY_COMPLETE && reply->kind == LINK_NEED && reply->number == job->number &&
		job->kind != LINK_PROBE) {
		if (!info_fits(&reply->info, job->limits, &decoded))
			return REPLY_WRONG;
		if (give_room(decoder, job, &message, &decoded, err)) {
			*ret_status = err ? err->status : STATUS_TRY_AGAIN;
			/* The decoder says that it has let go before the next job comes. */
			return receive_reply(decoder, deadline, job->abandon, reply);
		}
		outcome = receive_reply(decoder, deadline, job->abandon, reply);
	}
	if (outcome != REPLY_COMPLETE)
		return outcome;
	if (reply->kind != LINK_DONE || reply->number != job->number)
		return REPLY_WRONG;
	if (reply->status) {
		if (!error_status_valid(reply->status))
			return REPLY_WRONG;
		*ret_status = error_set(err, (int)reply->status, "%s",
			reply->text[0] && text_is_plain(reply->text, strlen(reply->text))
				? reply->text
				: "its decoder failed without an error message");
		return REPLY_COMPLETE;
	}
	if (!info_fits(&reply->info, job->limits, ret) ||
		(job->kind == LINK_DECODE && ret->total > message.length))
		return REPLY_WRONG;
	text_escape(reply->text, strlen(reply->text), ret->warning, sizeof ret->warning);
	return REPLY_COMPLETE;
}

int decoder_run(struct decoder *decoder, const struct decoder_job *job, struct decoded *ret,
	bool *ret_died, struct error *err)
{
	enum reply_outcome outcome;
	struct link_reply reply;
	int status;

	*ret_died = false;
	if (!decoder->pid && decoder_start(decoder, err))
		return err ? err->status : STATUS_TRY_AGAIN;
	outcome = link_talk(decoder, job, &reply, ret, &status, err);
	if (outcome == REPLY_COMPLETE)
		return status;
	if (status) {
		/* There was no room, whatever became of the decoder then. */
		replace_decoder(decoder, outcome, &reply, job->timeout_ns, NULL);
		return status;
	}
	*ret_died = outcome != REPLY_ABANDONED && outcome != REPLY_UNFIT;
	return replace_decoder(decoder, outcome, &reply, job->timeout_ns, err);
}
