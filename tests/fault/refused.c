/*
 * refused CALL... -- COMMAND [ARGUMENT...]: runs the command with these system calls failing with
 * EPERM, as a container's seccomp profile has them fail.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct call {
	const char *name;
	unsigned number;
} calls[] = {{"io_uring_setup", SYS_io_uring_setup}, {"set_robust_list", SYS_set_robust_list}};

static unsigned number_of(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	fprintf(stderr, "unknown call '%s'\n", name);
	_exit(64);
}

static int refuse(unsigned number)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog filter = {sizeof rules / sizeof *rules, rules};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

int main(int argc, char **argv)
{
	int at = 1;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 71;
	while (at < argc && strcmp(argv[at], "--") != 0)
		if (refuse(number_of(argv[at++])) != 0)
			return 71;
	if (at + 1 >= argc)
		return 64;
	execvp(argv[at + 1], argv + at + 1);
	return 127;
}
