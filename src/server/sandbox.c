#include "server/sandbox.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "config.h"
#include "server/landlock.h"
#include "server/syscalls.h"

#include <errno.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void (*report_refused)(int call);

/*
 * SIGSYS is blocked in here and its action is back to the default, so the next refused call, which
 * the last line makes sure of, kills.
 */
static void on_refused(int signal, siginfo_t *about, void *context)
{
	(void)signal;
	(void)context;
	report_refused(about->si_syscall);
	syscall(SYS_kill, 0, 0);
}

static int handle_refusals(void (*refused)(int call))
{
	struct sigaction action = {
		.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};

	if (!refused)
		return 0;
	report_refused = refused;
	return sigaction(SIGSYS, &action, NULL);
}

static int close_others(const struct sandbox *how)
{
	int kept = how->profile == SANDBOX_POOL ? how->link : -1;

	/* What a sanitizer finds, it says on standard error. */
	int first = SANITIZED ? STDERR_FILENO + 1 : 0;

	if (kept > first && close_range((unsigned)first, (unsigned)kept - 1, 0))
		return -1;
	return close_range((unsigned)(kept < first ? first : kept + 1), ~0U, 0);
}

/* Bytes of address space that the process has now; 0 if nobody can tell. */
static uint64_t address_space(void)
{
	AUTO_FCLOSE FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages;

	if (!file || fscanf(file, "%llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int limit(int resource, uint64_t most)
{
	struct rlimit value = {.rlim_cur = most, .rlim_max = most};
	struct rlimit now;

	/* A hard limit that is lower already stays. */
	if (getrlimit((__rlimit_resource_t)resource, &now))
		return -1;
	if (now.rlim_max < most)
		value.rlim_cur = value.rlim_max = now.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &value);
}

/* The signal that says why comes a second before the one that cannot be handled. */
static int limit_processor(uint64_t seconds)
{
	struct rlimit value = {.rlim_cur = seconds, .rlim_max = seconds + 1};

	if (!seconds)
		return 0;
	return setrlimit(RLIMIT_CPU, &value) && errno != EPERM ? -1 : 0;
}

static int limit_resources(const struct sandbox *how, uint64_t mapped)
{
	uint64_t memory = RLIM_INFINITY;
	/* Room for the one file at a time that comes over the socket. */
	uint64_t files = how->profile == SANDBOX_POOL ? (uint64_t)how->link + 2 : 0;

	if (how->memory && !SANITIZED && !size_add(mapped, how->memory, &memory))
		memory = RLIM_INFINITY;
	return limit(RLIMIT_AS, memory) || limit_processor(how->cpu_seconds) ||
	       limit(RLIMIT_NOFILE, files) || limit(RLIMIT_NPROC, 0) || limit(RLIMIT_CORE, 0) ||
	       limit(RLIMIT_FSIZE, 0) || limit(RLIMIT_MEMLOCK, 0) || limit(RLIMIT_MSGQUEUE, 0);
}

/* Root without its capabilities is a user like any other. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return (int)syscall(SYS_capset, &header, none);
}

unsigned sandbox_missing(void)
{
	return (landlock_version() ? 0 : SANDBOX_NO_LANDLOCK) |
	       (syscalls_available() ? 0 : SANDBOX_NO_SECCOMP);
}

/* What an ordinary image takes is not given back, so that the next one finds it warm. */
#define KEPT_MEMORY (64 << 20)

/* A block that grows is copied, and memory is given back from the end only: so brk() is all that
 * malloc needs, and mmap() where brk() has no room. */
static void simplify_malloc(void)
{
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY);
	mallopt(M_ARENA_MAX, 1);
}

int sandbox_enter(const struct sandbox *how, unsigned *ret_missing, struct error *err)
{
	unsigned missing = sandbox_missing();
	int version = landlock_version(), failed = sandbox_prepare(err);
	uint64_t mapped;

	if (failed)
		return failed;
	mapped = address_space();
	if (missing & SANDBOX_NO_SECCOMP && !how->allow_degraded)
		return error_set(err, STATUS_INTERNAL,
			"cannot confine a decoder: no seccomp here (--allow-degraded-sandbox goes "
			"on without)");
	if (how->memory && !mapped)
		return error_set(err, STATUS_INTERNAL,
			"cannot limit the memory of a decoder: /proc/self/statm cannot be read");
	simplify_malloc();
	if (close_others(how))
		return error_os(err, errno, "cannot close the descriptors of a decoder");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return error_os(err, errno, "cannot give up the privileges of a decoder");
	failed = version ? landlock_deny_all(version) : 0;
	if (failed)
		return error_os(err, failed, "cannot confine a decoder with Landlock");
	if (limit_resources(how, mapped) || drop_capabilities() || handle_refusals(how->refused))
		return error_os(err, errno, "cannot limit a decoder");
	failed = missing & SANDBOX_NO_SECCOMP ? 0 : syscalls_restrict(how);
	if (failed)
		return error_os(err, failed, "cannot confine a decoder with seccomp");
	*ret_missing = missing;
	return STATUS_OK;
}
