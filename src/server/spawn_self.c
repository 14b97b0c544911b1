#include "server/spawn_self.h"

#include "base/cleanup.h"
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>

extern char **environ;

/* Of the environment, which may have secrets in it, what the loader and the C library look at as the
 * program starts. */
static const char *const needed[] = {
	"LD_",
	"MALLOC_",
	"GLIBC_TUNABLES=",
#if SANITIZED
	"ASAN_OPTIONS=",
	"UBSAN_OPTIONS=",
	"LSAN_OPTIONS=",
	"TSAN_OPTIONS=",
#endif
};

#define VARIABLES_MAX 16

static void find_needed(char *ret[VARIABLES_MAX + 1])
{
	size_t count = 0;

	for (char **variable = environ; variable && *variable; variable++)
		for (size_t i = 0; i < sizeof needed / sizeof *needed && count < VARIABLES_MAX; i++)
			if (!strncmp(*variable, needed[i], strlen(needed[i])))
				ret[count++] = *variable;
	ret[count] = NULL;
}

static int spawn(char *const *arguments, int first, int second, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	char *environment[VARIABLES_MAX + 1];
	posix_spawnattr_t attributes;
	sigset_t signals;
	int failed;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, first, SPAWN_SELF_FIRST);
	posix_spawn_file_actions_adddup2(&actions, second, SPAWN_SELF_SECOND);
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attributes, &signals);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	find_needed(environment);
	failed = posix_spawn(ret, "/proc/self/exe", &actions, &attributes, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return failed;
}

int spawn_self(char *const *arguments, int first, int second, pid_t *ret)
{
	/* Both above the numbers that they get in the process, so that neither dup2 there
	 * overwrites the other's source. */
	AUTO_CLOSE int near = fcntl(first, F_DUPFD_CLOEXEC, SPAWN_SELF_SECOND + 1);
	AUTO_CLOSE int far = fcntl(second, F_DUPFD_CLOEXEC, SPAWN_SELF_SECOND + 1);

	if (near < 0 || far < 0)
		return errno;
	return spawn(arguments, near, far, ret);
}
