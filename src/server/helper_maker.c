#include "server/helper_maker.h"

#include "base/cleanup.h"
#include "server/descriptor.h"
#include "server/helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int helper_maker_start(
	struct helper_maker *maker, int folder, bool allow_degraded, struct error *err)
{
	char *arguments[] = {
		(char *)"shmsem", (char *)HELPER_MODE, (char *)(allow_degraded ? "1" : "0"), NULL};
	int pair[2], failed;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_os(err, errno, "cannot start a helper process");
	failed = spawn_self(arguments, pair[1], folder, &maker->process);
	close(pair[1]);
	if (failed) {
		close(pair[0]);
		return error_os(err, failed, "cannot start a helper process");
	}
	maker->socket = pair[0];
	return STATUS_OK;
}

int helper_maker_fork(const struct helper_maker *maker)
{
	AUTO_CLOSE int ours = -1, its = -1;
	int pair[2];

	if (!maker->process || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	ours = pair[0];
	its = pair[1];
	return descriptor_send(maker->socket, "", 1, its) ? steal_fd(&ours) : -1;
}

bool helper_maker_ended(struct helper_maker *maker)
{
	siginfo_t end = {0};

	if (!maker->process)
		return true;
	if (waitid(P_PID, (id_t)maker->process, &end, WEXITED | WNOHANG) == 0 && !end.si_pid)
		return false;
	close(maker->socket);
	maker->process = 0;
	return true;
}

void helper_maker_stop(struct helper_maker *maker)
{
	if (!maker->process)
		return;
	close(maker->socket);
	/* Its helpers get the same signal when it ends. */
	kill(maker->process, SIGKILL);
	waitid(P_PID, (id_t)maker->process, &(siginfo_t){0}, WEXITED);
	maker->process = 0;
}
