#include "cli/needed_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static long try_memfd(void)
{
	return memfd_create("shmsem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static long try_pidfd(void)
{
	return syscall(SYS_pidfd_open, getpid(), 0);
}

static long try_openat2(void)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};

	return syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
}

static long try_statx(void)
{
	struct statx status;

	return statx(AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &status);
}

static long try_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static long try_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static long try_socketpair(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static long try_timerfd(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static long try_close_range(void)
{
	return syscall(SYS_close_range, ~0U, ~0U, 0);
}

static long try_no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static long try_unlink(void)
{
	return unlink("") < 0 && errno == ENOENT ? 0 : -1;
}

static long try_fallocate(void)
{
	return fallocate(-1, 0, 0, 1) < 0 && errno == EBADF ? 0 : -1;
}

static long try_epoll_wait(void)
{
	struct epoll_event event;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	return epoll < 0 ? -1 : epoll_wait(epoll, &event, 1, 0);
}

static long try_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_AS, &limit);
}

/* Where the kernel does not know it (ENOSYS), the C library takes clone. */
static long try_thread(void)
{
	return syscall(SYS_clone3, NULL, 0) < 0 && errno == EPERM ? -1 : 0;
}

/* arm64 has none but the newer one of such pairs. */
#ifdef SYS_unlink
#define CALL_UNLINK     "unlink"
#define CALL_EPOLL_WAIT "epoll_wait"
#else
#define CALL_UNLINK     "unlinkat"
#define CALL_EPOLL_WAIT "epoll_pwait"
#endif

static const struct {
	const char *name;
	long (*try)(void);
} calls[] = {
	{"memfd_create", try_memfd},
	{"pidfd_open", try_pidfd},
	{"openat2", try_openat2},
	{"statx", try_statx},
	{"eventfd2", try_eventfd},
	{"epoll_create1", try_epoll},
	{"socketpair", try_socketpair},
	{"timerfd_create", try_timerfd},
	{"close_range", try_close_range},
	{"fallocate", try_fallocate},
	{CALL_UNLINK, try_unlink},
	{CALL_EPOLL_WAIT, try_epoll_wait},
	{"prlimit64", try_limit},
	{"clone3", try_thread},
	{"prctl", try_no_new_privileges},
};

/* A limit that is used up is no refusal: who needs the call says so. */
static bool used_up(int failed)
{
	return failed == EMFILE || failed == ENFILE || failed == ENOMEM || failed == EAGAIN;
}

/* In a child of its own: some filters kill the process that makes the call. 0, an errno, or -1 when
 * the child was killed. */
static int try_call(long (*try)(void))
{
	pid_t child = fork();
	int status = 0, failed;

	if (!child)
		_exit(try() < 0 ? errno : 0);
	if (child < 0 || waitpid(child, &status, 0) != child)
		failed = errno;
	else
		failed = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return failed;
}

static long try_all(void)
{
	long result = 0;

	for (size_t i = 0; result >= 0 && i < sizeof calls / sizeof *calls; i++)
		result = calls[i].try();
	return result;
}

bool needed_calls_refused(char refused[CALLS_TEXT_SIZE])
{
	size_t used = 0;

	refused[0] = '\0';
	if (!try_call(try_all))
		return false;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		int failed = try_call(calls[i].try);

		if (failed && !used_up(failed) && used < CALLS_TEXT_SIZE)
			used += (size_t)snprintf(refused + used, CALLS_TEXT_SIZE - used,
				"%s%s (%s)", used ? ", " : "", calls[i].name,
				failed < 0 ? "killed" : strerror(failed));
	}
	return used;
}

int needed_calls_check(struct error *err)
{
	char refused[CALLS_TEXT_SIZE];

	if (!needed_calls_refused(refused))
		return STATUS_OK;
	return error_set(err, STATUS_NOT_PERMITTED,
		"system calls that a server needs are refused: %s; what helps: " CALLS_REMEDY,
		refused);
}
