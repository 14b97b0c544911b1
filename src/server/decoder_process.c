/* Decoder processes: their start and their end. */
#include "server/link.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/decoder.h"
#include "server/spawn_self.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that was killed is gone long before that, unless a file system has hung. */
#define STOP_WAIT_NS NS_PER_SECOND

static void close_ends(struct decoder *decoder)
{
	close(decoder->socket);
	close(decoder->pidfd);
	decoder->pid = 0;
	decoder->socket = decoder->pidfd = -1;
}

bool decoder_reap(struct decoder *decoder, siginfo_t *ret)
{
	int failed;

	*ret = (siginfo_t){0};
	do
		failed = waitid(P_PID, (id_t)decoder->pid, ret, WEXITED | WNOHANG);
	while (failed && errno == EINTR);
	if (!failed && !ret->si_pid)
		return false;
	close_ends(decoder);
	return true;
}

bool decoder_await_end(struct decoder *decoder, uint64_t deadline, siginfo_t *ret)
{
	struct pollfd end = {.fd = decoder->pidfd, .events = POLLIN};

	while (!decoder_reap(decoder, ret)) {
		if (clock_now() >= deadline)
			return false;
		poll(&end, 1, deadline_poll_ms(deadline, 1000));
	}
	return true;
}

void decoder_stop(struct decoder *decoder)
{
	siginfo_t end;

	if (!decoder->pid)
		return;
	kill(decoder->pid, SIGKILL);
	if (!decoder_await_end(decoder, deadline_after(STOP_WAIT_NS), &end))
		close_ends(decoder);
}

/* 0, or an errno. */
static int spawn(const struct decoder_setup *setup, int socket, int segment, pid_t *ret)
{
	char numbers[DECODER_NUMBERS][24];
	char *arguments[] = {(char *)"shmsem", (char *)DECODER_MODE, numbers[0], numbers[1],
		numbers[2], numbers[3], NULL};
	const uint64_t values[DECODER_NUMBERS] = {setup->reserve, setup->memory, setup->cpu_seconds,
		(setup->isolate ? DECODER_ISOLATE : 0) |
			(setup->allow_degraded ? DECODER_ALLOW_DEGRADED : 0)};

	for (size_t i = 0; i < DECODER_NUMBERS; i++)
		snprintf(numbers[i], sizeof numbers[i], "%llu", (unsigned long long)values[i]);
	return spawn_self(arguments, socket, segment, ret);
}

int decoder_start(struct decoder *decoder, struct error *err)
{
	AUTO_CLOSE int ours = -1, theirs = -1;
	int pair[2], failed;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_os(err, errno, "cannot start a decoder");
	ours = pair[0];
	theirs = pair[1];
	failed = spawn(&decoder->setup, theirs, decoder->segment_fd, &pid);
	if (failed)
		return error_os(err, failed, "cannot start a decoder");
	decoder->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (decoder->pidfd < 0) {
		failed = errno;
		kill(pid, SIGKILL);
		waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED);
		return error_os(err, failed, "cannot start a decoder");
	}
	decoder->pid = pid;
	decoder->socket = steal_fd(&ours);
	decoder->started_at = clock_now();
	decoder->message.number = 0;
	if (decoder->starts)
		atomic_fetch_add_explicit(decoder->starts, 1, memory_order_relaxed);
	return STATUS_OK;
}
