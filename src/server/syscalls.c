#include "server/syscalls.h"

#include "config.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if HAVE_SECCOMP

#include "dynload/libseccomp.h"

#include <stdlib.h>

enum in_profile {
	POOL = 1 << SANDBOX_POOL,
	ISOLATE = 1 << SANDBOX_ISOLATE,
	HELPER = 1 << SANDBOX_HELPER,
	BOTH = POOL | ISOLATE,
	ALL = BOTH | HELPER,
};

enum condition {
	ALWAYS,
	ON_LINK,      /* the first argument is the socket */
	PLAIN_MEMORY, /* mmap: private, anonymous, not executable */
};

/* Every call that a decoder or a helper may make once it has begun, and why. */
static const struct allowed {
	int call;
	unsigned profiles;
	enum condition condition;
} allowed[] = {
	/* takes the next request, and the open file with it */
	{SCMP_SYS(recvmsg), POOL, ON_LINK},
	/* says what the image is, and how it went */
	{SCMP_SYS(sendto), POOL, ON_LINK},
	/* reads the file; every descriptor it has is its own */
	{SCMP_SYS(pread64), POOL, ALWAYS},
	/* gives the file back */
	{SCMP_SYS(close), POOL, ALWAYS},
	/* malloc */
	{SCMP_SYS(brk), BOTH, ALWAYS},
	/* malloc, where brk has no room */
	{SCMP_SYS(mmap), BOTH, PLAIN_MEMORY},
	/* ends, with its status */
	{SCMP_SYS(exit_group), BOTH, ALWAYS},
	/* takes orders and answers them */
	{SCMP_SYS(recvmsg), HELPER, ALWAYS},
	{SCMP_SYS(sendmsg), HELPER, ALWAYS},
	/* opens files and folders (Landlock says which), looks at them, reads them */
	{SCMP_SYS(openat2), HELPER, ALWAYS},
	{SCMP_SYS(openat), HELPER, ALWAYS},
	{SCMP_SYS(statx), HELPER, ALWAYS},
	{SCMP_SYS(newfstatat), HELPER, ALWAYS},
	{SCMP_SYS(fstat), HELPER, ALWAYS},
	{SCMP_SYS(fstatfs), HELPER, ALWAYS},
	{SCMP_SYS(getdents64), HELPER, ALWAYS},
	{SCMP_SYS(lseek), HELPER, ALWAYS},
	{SCMP_SYS(pread64), HELPER, ALWAYS},
	{SCMP_SYS(close), HELPER, ALWAYS},
	/* copies into memory that it makes and seals */
	{SCMP_SYS(memfd_create), HELPER, ALWAYS},
	{SCMP_SYS(write), HELPER, ALWAYS},
	{SCMP_SYS(fcntl), HELPER, ALWAYS},
	/* malloc, also of long lists */
	{SCMP_SYS(brk), HELPER, ALWAYS},
	{SCMP_SYS(mmap), HELPER, PLAIN_MEMORY},
	{SCMP_SYS(mremap), HELPER, ALWAYS},
	{SCMP_SYS(munmap), HELPER, ALWAYS},
	/* waits for a moment, where there is no vDSO also for the time */
	{SCMP_SYS(sched_yield), HELPER, ALWAYS},
	{SCMP_SYS(clock_nanosleep), HELPER, ALWAYS},
	{SCMP_SYS(clock_gettime), HELPER, ALWAYS},
	/* becomes another helper, which ends with the one that made it */
	{SCMP_SYS(clone), HELPER, ALWAYS},
	{SCMP_SYS(set_robust_list), HELPER, ALWAYS},
	{SCMP_SYS(rseq), HELPER, ALWAYS},
	{SCMP_SYS(rt_sigprocmask), HELPER, ALWAYS},
	{SCMP_SYS(prctl), HELPER, ALWAYS},
	{SCMP_SYS(getppid), HELPER, ALWAYS},
	/* ends */
	{SCMP_SYS(exit_group), HELPER, ALWAYS},
#if SANITIZED
	/* What the run-time of a sanitizer does on its own: memory, locks, and reports on standard
	 * error. Such a build is for finding bugs, not for strangers' files. */
	{SCMP_SYS(write), ALL, ALWAYS},
	{SCMP_SYS(munmap), ALL, ALWAYS},
	{SCMP_SYS(mremap), ALL, ALWAYS},
	{SCMP_SYS(mprotect), ALL, ALWAYS},
	{SCMP_SYS(madvise), ALL, ALWAYS},
	{SCMP_SYS(futex), ALL, ALWAYS},
	{SCMP_SYS(sched_yield), ALL, ALWAYS},
	{SCMP_SYS(getpid), ALL, ALWAYS},
	{SCMP_SYS(gettid), ALL, ALWAYS},
	{SCMP_SYS(sigaltstack), ALL, ALWAYS},
	{SCMP_SYS(rt_sigprocmask), ALL, ALWAYS},
#endif
};

#define ALLOWED (sizeof allowed / sizeof *allowed)

static int allow(scmp_filter_ctx filter, const struct allowed *row, const struct sandbox *how)
{
	const uint64_t plain = MAP_PRIVATE | MAP_ANONYMOUS;
	const struct scmp_arg_cmp on_link = {
		.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (unsigned)how->link};
	const struct scmp_arg_cmp plain_memory[] = {
		{.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0},
		{.arg = 3, .op = SCMP_CMP_MASKED_EQ, .datum_a = plain, .datum_b = plain},
	};

	switch (row->condition) {
	case ON_LINK:
		return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, row->call, 1, &on_link);
	case PLAIN_MEMORY:
		return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, row->call, 2, plain_memory);
	case ALWAYS:
		break;
	}
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, row->call, 0, NULL);
}

static int add_rules(scmp_filter_ctx filter, const struct sandbox *how)
{
	int status = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; !status && i < ALLOWED; i++)
		if (allowed[i].profiles & 1U << how->profile)
			status = allow(filter, &allowed[i], how);
	return status;
}

int sandbox_prepare(struct error *err)
{
	return libseccomp_load(err);
}

int syscalls_restrict(const struct sandbox *how)
{
	/* A trap is what tells which call it was (SIGSYS); its handler runs once and then dies. */
	uint32_t other = how->refused ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx filter = seccomp_init(
		how->profile == SANDBOX_HELPER ? SCMP_ACT_ERRNO(EPERM) : other);
	int status;

	if (!filter)
		return ENOMEM;
	status = add_rules(filter, how);
	if (!status)
		status = seccomp_load(filter);
	seccomp_release(filter);
	return -status;
}

bool sandbox_allows(enum sandbox_profile profile, int call)
{
	for (size_t i = 0; i < ALLOWED; i++)
		if (allowed[i].call == call && allowed[i].profiles & 1U << profile)
			return true;
	return false;
}

bool syscalls_available(void)
{
	const uint32_t actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_TRAP};

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]))
			return false;
	return true;
}

const char *sandbox_call_name(int call, char name[SANDBOX_CALL_NAME_SIZE])
{
	char *known = libseccomp_load(NULL)
			      ? NULL
			      : seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

	if (known)
		snprintf(name, SANDBOX_CALL_NAME_SIZE, "%s", known);
	else
		snprintf(name, SANDBOX_CALL_NAME_SIZE, "number %d", call);
	free(known);
	return name;
}

#else

bool syscalls_available(void)
{
	return false;
}

int sandbox_prepare(struct error *err)
{
	(void)err;
	return STATUS_OK;
}

int syscalls_restrict(const struct sandbox *how)
{
	(void)how;
	return ENOSYS;
}

bool sandbox_allows(enum sandbox_profile profile, int call)
{
	(void)profile;
	(void)call;
	return true;
}

const char *sandbox_call_name(int call, char name[SANDBOX_CALL_NAME_SIZE])
{
	snprintf(name, SANDBOX_CALL_NAME_SIZE, "number %d", call);
	return name;
}

#endif
