/* The sandbox: a child enters it and tries what it must not. */
#include "test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "config.h"
#include "server/join.h"
#include "server/landlock.h"
#include "server/sandbox.h"
#include "server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY ((uint64_t)64 << 20)

/* What a child's body may end with, beside the status that it wants seen. */
#define CANNOT_ENTER 99

struct shared {
	int refused;      /* the call that the handler was told of */
	unsigned missing; /* as sandbox_enter says */
	char text[ERROR_TEXT_SIZE];
};

static struct shared *shared;
static int link_fd;  /* the child's end; the other is link_fd + 1's business, not ours */
static int other_fd; /* a descriptor that is open before, and must not be after */

static void note_refused(int call)
{
	shared->refused = call;
}

static void enter(enum sandbox_profile profile, bool report, bool degraded)
{
	struct sandbox how = {.profile = profile,
		.link = link_fd,
		.memory = MEMORY,
		.cpu_seconds = 10,
		.allow_degraded = degraded,
		.refused = report ? note_refused : NULL};
	struct error err = {0};
	int status = sandbox_enter(&how, &shared->missing, &err);

	memcpy(shared->text, err.text, sizeof err.text);
	if (status)
		_exit(CANNOT_ENTER);
}

/* Runs `body` in a child; its wait status. */
static int in_child(void (*body)(intptr_t argument), intptr_t argument)
{
	int pair[2], status;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	link_fd = pair[0];
	memset(shared, 0, sizeof *shared);
	shared->refused = -1;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* cmocka catches these. */
		signal(SIGILL, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		alarm(600);
		body(argument);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	close(pair[0]);
	close(pair[1]);
	return status;
}

static void assert_killed(int status, const char *what)
{
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("%s was not refused: wait status %#x, %s", what, status, shared->text);
}

static void assert_fine(int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("wait status %#x, refused call %d, %s", status, shared->refused,
			shared->text);
}

static const enum sandbox_profile profiles[] = {SANDBOX_POOL, SANDBOX_ISOLATE};

static void try_number(intptr_t argument)
{
	enter((enum sandbox_profile)(argument >> 16), true, false);
	syscall(argument & 0xffff, 0, 0, 0, 0, 0, 0);
}

/* On x86-64 the kernel keeps these for its own probes and passes them by all filters; it ends a
 * process that makes the one, and fails the other. */
static bool answered_by_kernel(int call, int status)
{
#if defined(__x86_64__)
	return (call == 335 && WIFSIGNALED(status) && WTERMSIG(status) == SIGILL) ||
	       (call == 336 && status == 0);
#else
	(void)call;
	(void)status;
	return false;
#endif
}

static void every_other_call_kills_and_is_reported(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		/* Beyond the last call of any kernel of today. */
		for (int call = 0; call < 520; call++) {
			char name[SANDBOX_CALL_NAME_SIZE];
			int status;

			if (sandbox_allows(profiles[i], call))
				continue;
			status = in_child(try_number, (intptr_t)profiles[i] << 16 | call);
			if (answered_by_kernel(call, status))
				continue;
			assert_killed(status, sandbox_call_name(call, name));
			assert_int_equal(shared->refused, call);
		}
	}
}

static void try_silently(intptr_t argument)
{
	enter((enum sandbox_profile)argument, false, false);
	syscall(SYS_getppid);
}

static void without_a_report_it_dies_just_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_killed(in_child(try_silently, profiles[i]), "getppid");
	assert_int_equal(shared->refused, -1);
}

static void the_list_is_short(void **state)
{
	size_t counts[2] = {0};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (int call = 0; call < 1024; call++)
			counts[i] += sandbox_allows(profiles[i], call);
	if (SANITIZED)
		return;
	assert_in_range(counts[0], 1, SANDBOX_POOL_CALLS);
	assert_in_range(counts[1], 1, SANDBOX_ISOLATE_CALLS);
}

static void map_executable(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void map_shared(void)
{
	mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void map_file(void)
{
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, link_fd, 0);
}

static void send_elsewhere(void)
{
	struct msghdr message = {0};

	sendmsg(link_fd + 1, &message, 0);
}

static void receive_elsewhere(void)
{
	struct msghdr message = {0};

	recvmsg(link_fd + 1, &message, MSG_DONTWAIT);
}

static void send_where_the_low_half_matches(void)
{
	struct msghdr message = {0};

	syscall(SYS_sendmsg, (1L << 32) | link_fd, &message, 0);
}

static void trace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void run(void)
{
	char *nothing[] = {NULL};

	execve("/bin/true", nothing, nothing);
}

static const struct attempt {
	const char *what;
	void (*run)(void);
} attempts[] = {
	{"mmap with PROT_EXEC", map_executable},
	{"mmap of shared memory", map_shared},
	{"mmap of a descriptor", map_file},
	{"sendmsg on another descriptor", send_elsewhere},
	{"recvmsg on another descriptor", receive_elsewhere},
	{"sendmsg on a number that is too wide", send_where_the_low_half_matches},
	{"ptrace", trace},
	{"execve", run},
};

static void try_attempt(intptr_t argument)
{
	enter((enum sandbox_profile)(argument >> 16), true, false);
	attempts[argument & 0xffff].run();
}

static void forbidden_arguments_kill(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < sizeof attempts / sizeof *attempts; k++)
			assert_killed(
				in_child(try_attempt, (intptr_t)profiles[i] << 16 | (intptr_t)k),
				attempts[k].what);
}

static void catch_and_go_on(int signal)
{
	(void)signal;
}

/* Whatever a decoder did to its signals before, a refused call is the end. */
static void try_twice(intptr_t argument)
{
	struct sigaction action = {.sa_handler = catch_and_go_on};
	sigset_t set;

	sigaction(SIGSYS, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, NULL);
	enter((enum sandbox_profile)argument, true, false);
	syscall(SYS_getppid);
	syscall(SYS_getppid);
}

static void blocked_signals_do_not_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_killed(in_child(try_twice, profiles[i]), "getppid");
}

/* A few hundred blocks of all sizes; what malloc does with them must be allowed. */
static void use_memory(intptr_t argument)
{
	enum {
		COUNT = 400
	};
	static char *blocks[COUNT];

	enter((enum sandbox_profile)argument, true, false);
	for (size_t turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < COUNT; i++) {
			size_t size = (size_t)1 << (i * 7 % 17);

			blocks[i] = realloc(blocks[i], size * (turn + 1));
			if (!blocks[i])
				_exit(1);
			memset(blocks[i], (int)i, size);
		}
		for (size_t i = turn; i < COUNT; i += 3) {
			free(blocks[i]);
			blocks[i] = NULL;
		}
	}
}

static void malloc_works_inside(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_fine(in_child(use_memory, profiles[i]));
}

static void use_too_much_memory(intptr_t argument)
{
	char *volatile block; /* lest the compiler leave out a malloc that nobody uses */

	enter((enum sandbox_profile)argument, true, false);
	block = malloc(2 * MEMORY);
	_exit(block ? 1 : 0);
}

static void memory_is_limited(void **state)
{
	(void)state;
	if (SANITIZED) /* whose shadow is larger than any limit */
		return;
	for (size_t i = 0; i < 2; i++)
		assert_fine(in_child(use_too_much_memory, profiles[i]));
}

/* The kernel as one without seccomp would be: refuses to install or to name filters. */
static void hide_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) ||
		seccomp_load(filter))
		_exit(CANNOT_ENTER);
	seccomp_release(filter);
}

static void enter_without_seccomp(intptr_t argument)
{
	hide_seccomp();
	enter(SANDBOX_POOL, false, argument);
}

static void no_seccomp_is_refused_unless_allowed(void **state)
{
	int status = in_child(enter_without_seccomp, false);

	(void)state;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_ENTER);
	assert_non_null(strstr(shared->text, "--allow-degraded-sandbox"));
	assert_fine(in_child(enter_without_seccomp, true));
	assert_int_equal(shared->missing & SANDBOX_NO_SECCOMP, SANDBOX_NO_SECCOMP);
}

/* Both kinds of server, none of which gets as far as its objects. */
static void serve_without_seccomp(intptr_t degraded)
{
	struct server_options options = server_defaults;
	struct server *server = NULL;
	struct join *join = NULL;
	struct error err = {0};
	int status;

	hide_seccomp();
	options.directory = "/nonexistent";
	options.decoders = 1;
	options.allow_degraded = degraded;
	if (namespace_parse("test-sandbox", &options.space, NULL))
		_exit(CANNOT_ENTER);
	status = server_start(&options, &server, &err);
	snprintf(shared->text, sizeof shared->text, "%s", err.text);
	if (join_start(&options, NULL, &join, &err) != status || strcmp(shared->text, err.text))
		_exit(CANNOT_ENTER);
	_exit(status);
}

static void without_seccomp_both_servers_refuse_with_one_sentence(void **state)
{
	int status = in_child(serve_without_seccomp, false);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), STATUS_INTERNAL);
	assert_non_null(strstr(shared->text, "decoders cannot be confined"));
	assert_non_null(strstr(shared->text, "--allow-degraded-sandbox"));
	status = in_child(serve_without_seccomp, true);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), STATUS_NOT_FOUND);
}

static void hide_landlock(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter ||
		seccomp_rule_add(
			filter, SCMP_ACT_ERRNO(EOPNOTSUPP), SCMP_SYS(landlock_create_ruleset), 0) ||
		seccomp_load(filter))
		_exit(CANNOT_ENTER);
	seccomp_release(filter);
}

static void enter_without_landlock(intptr_t argument)
{
	(void)argument;
	hide_landlock();
	enter(SANDBOX_POOL, false, false);
}

static void no_landlock_is_told(void **state)
{
	(void)state;
	assert_fine(in_child(enter_without_landlock, 0));
	assert_int_equal(shared->missing, SANDBOX_NO_LANDLOCK);
}

#define EXPECT(condition)                         \
	do {                                      \
		if (!(condition))                 \
			_exit(__LINE__ % 90 + 1); \
	} while (0)

/* What is left when seccomp is not there: each of these is denied by something else. */
static void try_without_seccomp(intptr_t argument)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	pid_t parent = getppid();
	int tcp;

	(void)argument;
	hide_seccomp();
	enter(SANDBOX_POOL, false, true);
	EXPECT(fcntl(other_fd, F_GETFD) == -1 && errno == EBADF);
	EXPECT(fcntl(link_fd, F_GETFD) != -1);
	EXPECT(open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES);
	EXPECT(open("/tmp", O_RDONLY | O_DIRECTORY) == -1 && errno == EACCES);
	EXPECT(open("/dev/shm/shmsem-test", O_CREAT | O_WRONLY, 0600) == -1 && errno == EACCES);
	EXPECT(truncate("/dev/null", 0) == -1);
	EXPECT(fork() == -1 || getuid() == 0);
	if (landlock_version() >= 4) {
		tcp = socket(AF_INET, SOCK_STREAM, 0);
		EXPECT(tcp == -1 ||
			(connect(tcp, (void *)&address, sizeof address) == -1 && errno == EACCES));
	}
	if (landlock_version() >= 6)
		EXPECT(kill(parent, 0) == -1 && errno == EPERM);
}

static void landlock_and_limits_hold_alone(void **state)
{
	(void)state;
	assert_true(landlock_version() > 0);
	assert_fine(in_child(try_without_seccomp, 0));
}

/* One file at a time can come in over the socket, and be read and given back. */
static void take_two_files(intptr_t argument)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	int pair[2], fd = -1;

	(void)argument;
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	link_fd = pair[0];
	message.msg_control = control.bytes;
	for (int i = 0; i < 2; i++) {
		message.msg_controllen = sizeof control.bytes;
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &other_fd, sizeof other_fd);
		EXPECT(sendmsg(pair[1], &message, 0) == 1);
	}
	enter(SANDBOX_POOL, true, false);
	for (int i = 0; i < 2; i++) {
		message.msg_controllen = sizeof control.bytes;
		EXPECT(recvmsg(link_fd, &message, 0) == 1);
		EXPECT(message.msg_controllen && control.align.cmsg_type == SCM_RIGHTS);
		memcpy(&fd, CMSG_DATA(&control.align), sizeof fd);
		EXPECT(pread(fd, &byte, 1, 0) == 1 && byte == 'x');
		EXPECT(close(fd) == 0);
	}
}

static void files_come_over_the_socket(void **state)
{
	(void)state;
	assert_fine(in_child(take_two_files, 0));
}

static void calls_have_names(void **state)
{
	char name[SANDBOX_CALL_NAME_SIZE];

	(void)state;
	assert_string_equal(sandbox_call_name(SYS_openat, name), "openat");
	assert_string_equal(sandbox_call_name(123456, name), "number 123456");
}

static int set_up(void **state)
{
	(void)state;
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	other_fd = memfd_create("test", MFD_CLOEXEC);
	return shared == MAP_FAILED || other_fd < 0 || write(other_fd, "x", 1) != 1;
}

static int tear_down(void **state)
{
	(void)state;
	close(other_fd);
	return munmap(shared, sizeof *shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_is_short),
		cmocka_unit_test(every_other_call_kills_and_is_reported),
		cmocka_unit_test(without_a_report_it_dies_just_the_same),
		cmocka_unit_test(forbidden_arguments_kill),
		cmocka_unit_test(blocked_signals_do_not_help),
		cmocka_unit_test(malloc_works_inside),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(no_seccomp_is_refused_unless_allowed),
		cmocka_unit_test(without_seccomp_both_servers_refuse_with_one_sentence),
		cmocka_unit_test(no_landlock_is_told),
		cmocka_unit_test(landlock_and_limits_hold_alone),
		cmocka_unit_test(files_come_over_the_socket),
		cmocka_unit_test(calls_have_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
