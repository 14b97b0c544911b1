/*
 * at_call CHILD N COMMAND…: runs the command, and kills the process that it starts as the CHILDth, 1
 * for the first, at the Nth system call of that process, counted from its birth; never with N = 0.
 * strace, which counts for every process at once, could not leave out the command itself.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static long at, child;
static pid_t command, candidate;

/* Whether it is a process of the command's own, no thread of it and nothing that another one of its
 * processes started. */
static bool is_child(pid_t pid)
{
	char path[64], line[256];
	long tgid = 0, parent = 0;
	FILE *status;

	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof line, status)) {
		sscanf(line, "Tgid: %ld", &tgid);
		sscanf(line, "PPid: %ld", &parent);
	}
	if (status)
		fclose(status);
	return tgid == pid && parent == command;
}

/* Notes a process that stops for the first time, as the candidate if it is the one. */
static void note(pid_t pid)
{
	static pid_t last;

	if (candidate || pid == command || pid == last || !is_child(pid))
		return;
	last = pid;
	if (--child == 0)
		candidate = pid;
}

static pid_t start(char **arguments)
{
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(arguments[0], arguments);
		_exit(127);
	}
	return pid;
}

static bool begins_call(pid_t pid)
{
	struct __ptrace_syscall_info info;

	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 &&
	       info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

/* Lets a stopped process go on, with the signal that it was stopped for if that was meant for it.
 */
static void resume(pid_t pid, int status)
{
	static long calls;
	int signal = WSTOPSIG(status);

	/* What has just been born begins with one of these. */
	if (signal == SIGSTOP || signal == (SIGTRAP | 0x80) || status >> 16)
		signal = 0;
	note(pid);
	if (pid == candidate && WSTOPSIG(status) == (SIGTRAP | 0x80) && begins_call(pid) &&
		++calls == at)
		kill(pid, SIGKILL);
	ptrace(pid == candidate ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal);
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status;

	if (argc < 4)
		return 64;
	child = atol(argv[1]);
	at = atol(argv[2]);
	command = start(argv + 3);
	if (command < 0 || waitpid(command, &status, 0) != command ||
		ptrace(PTRACE_SETOPTIONS, command, 0, options)) {
		perror("at_call");
		return 70;
	}
	ptrace(PTRACE_CONT, command, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno != EINTR)
			return 70;
		if (pid > 0 && WIFSTOPPED(status))
			resume(pid, status);
		else if (pid == command)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}
