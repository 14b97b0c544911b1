#include "server/syscalls.h"

#include "config.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if HAVE_SECCOMP

#include <seccomp.h>
#include <stdlib.h>

enum in_profile {
	POOL = 1 << SANDBOX_POOL,
	ISOLATE = 1 << SANDBOX_ISOLATE,
	BOTH = POOL | ISOLATE,
};

enum condition {
	ALWAYS,
	ON_LINK,      /* the first argument is the socket */
	PLAIN_MEMORY, /* mmap: private, anonymous, not executable */
};

/* Every call that a decoder may make once it has begun, and why. */
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
#if SANITIZED
	/* What the run-time of a sanitizer does on its own: memory, locks, and reports on standard
	 * error. Such a build is for finding bugs, not for strangers' files. */
	{SCMP_SYS(write), BOTH, ALWAYS},
	{SCMP_SYS(munmap), BOTH, ALWAYS},
	{SCMP_SYS(mremap), BOTH, ALWAYS},
	{SCMP_SYS(mprotect), BOTH, ALWAYS},
	{SCMP_SYS(madvise), BOTH, ALWAYS},
	{SCMP_SYS(futex), BOTH, ALWAYS},
	{SCMP_SYS(sched_yield), BOTH, ALWAYS},
	{SCMP_SYS(getpid), BOTH, ALWAYS},
	{SCMP_SYS(gettid), BOTH, ALWAYS},
	{SCMP_SYS(sigaltstack), BOTH, ALWAYS},
	{SCMP_SYS(rt_sigprocmask), BOTH, ALWAYS},
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

int syscalls_restrict(const struct sandbox *how)
{
	/* A trap is what tells which call it was (SIGSYS); its handler runs once and then dies. */
	scmp_filter_ctx filter = seccomp_init(how->refused ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS);
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
	char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

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
