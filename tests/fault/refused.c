/*
 * refused CALL... -- COMMAND [ARGUMENT...]: runs the command with these system calls failing with
 * EPERM, as a container's seccomp profile has them fail.
 */
#include "../refuse_call.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct call {
	const char *name;
	unsigned number;
} calls[] = {{"io_uring_setup", SYS_io_uring_setup}, {"io_uring_enter", SYS_io_uring_enter},
	{"set_robust_list", SYS_set_robust_list}};

static unsigned number_of(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	fprintf(stderr, "unknown call '%s'\n", name);
	_exit(64);
}

int main(int argc, char **argv)
{
	int at = 1;

	while (at < argc && strcmp(argv[at], "--") != 0)
		if (!refuse_call(number_of(argv[at++])))
			return 71;
	if (at + 1 >= argc)
		return 64;
	execvp(argv[at + 1], argv + at + 1);
	return 127;
}
