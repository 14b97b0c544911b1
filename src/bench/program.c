#include "bench/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int run(void *context, uint64_t operations, struct error *err)
{
	struct program *program = context;
	posix_spawn_file_actions_t actions;
	int failed = 0, result = 0;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	for (uint64_t i = 0; !failed && !result && i < operations; i++) {
		failed = posix_spawn(&child, program->path, &actions, NULL, program->argv, environ);
		while (!failed && waitpid(child, &result, 0) < 0 && errno == EINTR)
			;
	}
	posix_spawn_file_actions_destroy(&actions);
	if (failed)
		return error_os(err, failed, "cannot start %s", program->path);
	return result ? error_set(err, STATUS_UNAVAILABLE, "%s failed", program->argv[0])
		      : STATUS_OK;
}

struct bench_subject program_subject(struct program *program, const char *name)
{
	return (struct bench_subject){.name = name, .context = program, .run = run};
}
