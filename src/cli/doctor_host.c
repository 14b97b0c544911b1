#include "cli/doctor_host.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- calls ---- */

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

static long try_no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

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
	{"prctl", try_no_new_privileges},
};

const char *needed_call_try(size_t index, int *ret_failed)
{
	int status = 0;
	pid_t child;

	if (index >= sizeof calls / sizeof *calls)
		return NULL;
	child = fork();
	if (!child)
		_exit(calls[index].try() < 0 ? errno : 0);
	if (child < 0 || waitpid(child, &status, 0) != child)
		*ret_failed = errno;
	else
		*ret_failed = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return calls[index].name;
}

/* ---- io_uring ---- */

#define SETUP_R_DISABLED    (1U << 6)
#define SETUP_TASKRUN_FLAG  (1U << 9)
#define SETUP_SINGLE_ISSUER (1U << 12)
#define SETUP_DEFER_TASKRUN (1U << 13)
#define SETUP_NO_MMAP       (1U << 14)

/* struct io_uring_params (io_uring_setup(2)), which the headers of Debian 12 have without the
 * addresses. */
struct ring_parameters {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd;
	uint32_t reserved[3];
	struct {
		uint32_t offsets[8];
		uint64_t user_address;
	} sq, cq;
};

_Static_assert(sizeof(struct ring_parameters) == 120, "the layout of the kernel");

int shared_ring_missing(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ring_parameters parameters = {.flags = SETUP_R_DISABLED | SETUP_TASKRUN_FLAG |
						      SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN |
						      SETUP_NO_MMAP};
	uint8_t *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	long fd;
	int failed;

	if (memory == MAP_FAILED)
		return errno;
	parameters.sq.user_address = (uintptr_t)memory;
	parameters.cq.user_address = (uintptr_t)(memory + page);
	fd = syscall(SYS_io_uring_setup, 1, &parameters);
	failed = fd < 0 ? errno : 0;
	if (fd >= 0)
		close((int)fd);
	munmap(memory, 2 * page);
	return failed;
}
