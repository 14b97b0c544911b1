/*
 * act_at_call LIFE ACT SPACE NAME CRC EVERY: a process lives through the calls of the library, once
 * for each EVERYth system call that it makes, and at that call something happens:
 *
 *	fork	another thread forks, and the child lives on
 *	exec	the same, and the child executes another program
 *	use	the same, and the child uses and closes what it has inherited
 *	handler	a signal handler forks, in a process without other threads: elsewhere fork(2) may
 *		wait for ever
 *	signal	a signal handler does nothing
 *	cancel	a signal handler calls shmsem_cancel
 *
 * Then the process ends, without giving anything back, and what it had must be free although its child
 * lives: the only seat of the server of SPACE (LIFE client), or SPACE itself (LIFE server). Prints how
 * many calls there were.
 */
#include "shmsem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define SECOND 1000000000ULL

/* Between two calls of getsid with this, system calls count. */
#define MARK (-4711)

/* ---- what all processes share ---- */

static struct {
	_Atomic pid_t forker; /* the thread that forks */
	atomic_bool forking, forked;
	_Atomic pid_t child;
	atomic_bool used; /* by the child, what it has inherited */
	atomic_bool acted;
	atomic_bool failed;
	char text[1024];
} * shared;

static const char *act, *space, *name;
static unsigned long sum;
static int order[2]; /* a byte is an order to the thread */

static struct shmsem *client;
static struct shmsem_image image;

static bool is(const char *which)
{
	return !strcmp(act, which);
}

/* Whether a thread acts, and not a signal handler. */
static bool by_thread(void)
{
	return is("fork") || is("exec") || is("use");
}

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!atomic_exchange(&shared->failed, true))
		vsnprintf(shared->text, sizeof shared->text, format, arguments);
	va_end(arguments);
}

/* ---- the process that lives, and its child ---- */

static void be_child(void)
{
	if (is("use")) {
		if (client && shmsem_ping(client, NULL) != SHMSEM_USAGE)
			complain("a child may ask");
		shmsem_release(&image);
		shmsem_close(client);
	}
	atomic_store(&shared->used, true);
	if (is("exec"))
		execl("/proc/self/exe", "act_at_call", "--sleep", NULL);
	for (;;)
		pause();
}

static void make_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		be_child();
	atomic_store(&shared->child, pid);
}

static void *fork_when_told(void *none)
{
	char byte;

	atomic_store(&shared->forker, (pid_t)syscall(SYS_gettid));
	if (read(order[0], &byte, 1) != 1)
		return none;
	atomic_store(&shared->forking, true);
	make_child();
	atomic_store(&shared->forked, true);
	return none;
}

static void on_signal(int number)
{
	int saved = errno;

	(void)number;
	if (is("cancel") && client)
		shmsem_cancel(client);
	if (is("handler"))
		make_child();
	errno = saved;
}

static struct shmsem_error error;

/* A call may end because of a cancel, once; then it works. */
static bool again(const char *what, int status)
{
	static bool cancelled;

	if (status == SHMSEM_TRY_AGAIN && error.os_error == ECANCELED && is("cancel") &&
		!cancelled) {
		cancelled = true;
		return true;
	}
	if (status)
		complain("%s: %s", what, error.message);
	return false;
}

static int nothing(void *data, const char *text)
{
	(void)data;
	(void)text;
	return 0;
}

static void fetch(void)
{
	const struct shmsem_request request = {.name = name};

	while (again("fetch", shmsem_fetch(client, &request, &image, &error)))
		;
	if (image.pixels && crc32(0, image.pixels, (uInt)image.info.bytes) != sum)
		complain("wrong pixels");
}

static void live_as_client(void)
{
	const struct shmsem_connect_options options = {
		.name_space = space, .flags = SHMSEM_GUARD_SIGBUS, .timeout_ns = 20 * SECOND};
	const struct shmsem_request request = {.name = name};
	struct shmsem_info info;

	while (again("connect", shmsem_connect(&client, &options, &error)))
		;
	if (!client)
		return;
	while (again("ping", shmsem_ping(client, &error)))
		;
	fetch();
	while (again("info", shmsem_info(client, &request, &info, &error)))
		;
	while (again("names", shmsem_names(client, nothing, NULL, &error)))
		;
	shmsem_release(&image);
	fetch();
	if (shmsem_check(&image, &error))
		complain("check: %s", error.message);
	shmsem_close(client);
	client = NULL;
}

static void live_as_server(void)
{
	const struct shmsem_serve_options options = {
		.name_space = space, .seats = 2, .memory = 1 << 20, .kept = 1};
	const struct shmsem_info info = {.width = 1, .height = 1, .channels = 1};
	struct shmsem_server *server;
	void *pixels;

	/* The second takes up what is left of the first. */
	for (int i = 0; i < 2; i++) {
		if (shmsem_serve(&server, &options, &error) ||
			shmsem_prepare(server, &info, &pixels, NULL, &error) ||
			shmsem_publish(server, "a", &error) ||
			shmsem_server_run(server, 0, &error)) {
			complain("serve: %s", error.message);
			return;
		}
		if (i == 0)
			shmsem_server_close(server);
	}
}

static void live(bool serves)
{
	pthread_t thread;

	signal(SIGUSR1, on_signal);
	if (by_thread())
		pthread_create(&thread, NULL, fork_when_told, NULL);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	getsid(MARK);
	if (serves)
		live_as_server();
	else
		live_as_client();
	getsid(MARK);
	/* What was ordered is done before the end. */
	if (atomic_load(&shared->acted) && by_thread())
		pthread_join(thread, NULL);
	_exit(0);
}

/* ---- the process that looks on ---- */

static void pause_shortly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* Whether the thread waits for a lock: then what it waits for has to go on first. */
static bool forker_waits(pid_t pid)
{
	char path[64], text[32] = "";
	FILE *file;
	bool read;

	snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid,
		(int)atomic_load(&shared->forker));
	file = fopen(path, "re");
	read = file && fgets(text, sizeof text, file);
	if (file)
		fclose(file);
	return read && atol(text) == SYS_futex && text[0] != 'r';
}

static void order_fork(pid_t pid)
{
	/* Where a sanitizer has the lock, its thread spins for it. */
	unsigned left = 10000;

	if (write(order[1], "x", 1) != 1)
		complain("no order");
	while (!atomic_load(&shared->forked) && left-- > 0) {
		if (atomic_load(&shared->forking) && forker_waits(pid))
			return;
		pause_shortly();
	}
}

/* Whether it stopped for a system call, and if so whether that begins or ends what counts. */
static bool begins_call(pid_t pid, int status, bool *ret_mark)
{
	struct __ptrace_syscall_info info;

	if (WSTOPSIG(status) != (SIGTRAP | 0x80) ||
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 ||
		info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	*ret_mark = info.entry.nr == SYS_getsid && (int)info.entry.args[0] == MARK;
	return true;
}

/* Goes with it until its end, and acts at the Nth call. */
static void look_on(pid_t pid, long at)
{
	long calls = 0;
	unsigned marks = 0;
	int status, signal;
	bool mark;

	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (signal = 0;;) {
		ptrace(PTRACE_SYSCALL, pid, 0, signal);
		if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
			break;
		signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
		if (!begins_call(pid, status, &mark))
			continue;
		marks += mark;
		if (mark || marks != 1 || ++calls != at)
			continue;
		atomic_store(&shared->acted, true);
		if (by_thread())
			order_fork(pid);
		else
			kill(pid, SIGUSR1);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		complain("it ended with %#x", (unsigned)status);
}

/* A program that was executed has nothing of ours. */
static void check_executed(pid_t child)
{
	char path[64], line[4096];
	FILE *file;

	do {
		pause_shortly();
		snprintf(path, sizeof path, "/proc/%d/cmdline", (int)child);
		file = fopen(path, "re");
		line[fread(line, 1, sizeof line - 1, file)] = '\0';
		fclose(file);
	} while (strcmp(line + strlen(line) + 1, "--sleep") != 0);
	snprintf(path, sizeof path, "/proc/%d/maps", (int)child);
	file = fopen(path, "re");
	while (fgets(line, sizeof line, file))
		if (strstr(line, "/dev/shm/"))
			complain("it has %s", line);
	fclose(file);
	for (int fd = 0; fd < 64; fd++) {
		ssize_t length;

		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child, fd);
		length = readlink(path, line, sizeof line - 1);
		line[length < 0 ? 0 : length] = '\0';
		if (strstr(line, "/dev/shm/"))
			complain("it has %s open", line);
	}
}

/* Whether what the dead process had can be had. */
static void check_free(bool serves)
{
	const struct shmsem_serve_options serve = {
		.name_space = space, .seats = 1, .memory = 1 << 20, .kept = 1};
	const struct shmsem_connect_options connection = {
		.name_space = space, .timeout_ns = 10 * SECOND};
	struct shmsem_server *server = NULL;

	if (serves) {
		if (shmsem_serve(&server, &serve, &error))
			complain("after it: %s", error.message);
		shmsem_server_close(server);
		return;
	}
	if (shmsem_connect(&client, &connection, &error))
		complain("after it: %s", error.message);
	else
		fetch();
	shmsem_release(&image);
	shmsem_close(client);
	client = NULL;
}

/* Whether the Nth call was reached. */
static bool try_at(long at, bool serves)
{
	pid_t pid, child;
	bool acted;

	memset(shared, 0, sizeof *shared);
	if (pipe2(order, O_CLOEXEC) != 0)
		exit(70);
	pid = fork();
	if (pid == 0)
		live(serves);
	look_on(pid, at);
	child = atomic_load(&shared->child);
	acted = atomic_load(&shared->acted);
	if (acted && !child && !is("signal") && !is("cancel"))
		complain("there is no child");
	for (unsigned left = 200000; child && !atomic_load(&shared->used); pause_shortly())
		if (!left--) {
			complain("the child hangs");
			break;
		}
	if (child && is("exec"))
		check_executed(child);
	check_free(serves);
	if (child) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	close(order[0]);
	close(order[1]);
	return acted;
}

int main(int argc, char **argv)
{
	long every, at;

	if (argc == 2)
		for (;;)
			pause();
	if (argc != 7)
		return 64;
	act = argv[2];
	space = argv[3];
	name = argv[4];
	sum = strtoul(argv[5], NULL, 10);
	every = atol(argv[6]);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (at = 1; try_at(at, !strcmp(argv[1], "server")); at += every)
		if (atomic_load(&shared->failed)) {
			printf("%s at call %ld: %s\n", act, at, shared->text);
			return 1;
		}
	printf("%ld\n", at - every);
	return atomic_load(&shared->failed);
}
