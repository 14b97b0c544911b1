/* shmsem serve: the server, and the command that may run beside it. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/number.h"
#include "cli/notify.h"
#include "ipc/names.h"
#include "ipc/spin.h"
#include "serve/server.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEND_NS       (250 * NS_PER_MS)
#define DECODERS_MOST 256

extern char **environ;

struct serve_options {
	const char *name_space, *mode, *group;
	uint64_t decoders, seats, requests;
	uint64_t cache, fresh, decode_timeout;
	bool quiet;
};

static const struct option_row rows[] = {
	{'N', "namespace", "NS", "name of the exchange (default: $SHMSEM_NAMESPACE, else shmsem)",
		OPTION_TEXT, offsetof(struct serve_options, name_space), 0, 0, NULL},
	{'w', "decoders", "N", "decoder processes (default: one a CPU that this process may use)",
		OPTION_NUMBER, offsetof(struct serve_options, decoders), 1, DECODERS_MOST, NULL},
	{'s', "seats", "N", "clients that can be connected at a time (default: 16)", OPTION_NUMBER,
		offsetof(struct serve_options, seats), 1, 1024, NULL},
	{0, "requests", "N", "end after N requests", OPTION_NUMBER,
		offsetof(struct serve_options, requests), 1, 0, NULL},
	{0, "cache", "SIZE",
		"shared memory for decoded images (default: 512M, or a quarter of what is free)",
		OPTION_SIZE, offsetof(struct serve_options, cache), 0, 0, NULL},
	{0, "fresh", "SEC",
		"answer from the store for SEC without looking at the file (default: 0, exact)",
		OPTION_DURATION, offsetof(struct serve_options, fresh), 0, 0, NULL},
	{0, "decode-timeout", "SEC", "give up an image after SEC (default: 10)", OPTION_DURATION,
		offsetof(struct serve_options, decode_timeout), 0, 0, NULL},
	{0, "mode", "MODE",
		"permissions of the objects, octal (default: 0600; data segments get the read "
		"bits)",
		OPTION_TEXT, offsetof(struct serve_options, mode), 0, 0, NULL},
	{0, "group", "GROUP", "group of the objects, by name or number", OPTION_TEXT,
		offsetof(struct serve_options, group), 0, 0, NULL},
	{'q', "quiet", NULL, "say nothing when ready", OPTION_FLAG,
		offsetof(struct serve_options, quiet), 0, 0, NULL},
	{0},
};

static int parse_mode(const char *text, mode_t *ret, struct error *err)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || mode > 0777 || (mode & 0600) != 0600)
		return error_set(err, STATUS_USAGE,
			"--mode: '%s' is not an octal mode such as 0600 or 0660", text);
	*ret = (mode_t)mode;
	return STATUS_OK;
}

static int parse_group(const char *text, gid_t *ret, struct error *err)
{
	const struct group *group = getgrnam(text);
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (!group && (*text < '0' || *text > '9' || *end || number >= (gid_t)-1))
		return error_set(err, STATUS_USAGE, "--group: there is no group '%s'", text);
	*ret = group ? group->gr_gid : (gid_t)number;
	return STATUS_OK;
}

/* A namespace that nobody else has, for a server that only its own command is to use. */
static int own_namespace(struct name_space *ret, struct error *err)
{
	char text[64];

	snprintf(text, sizeof text, "shmsem-%d-%llx", (int)getpid(),
		(unsigned long long)clock_now());
	return namespace_parse(text, ret, err);
}

static int make_options(const struct serve_options *given, bool command, struct server_options *ret,
	struct error *err)
{
	struct server_options options = server_defaults;
	unsigned cpus = spin_cpus();
	int status = STATUS_OK;

	options.decoders = given->decoders        ? (unsigned)given->decoders
			   : cpus < DECODERS_MOST ? cpus
						  : DECODERS_MOST;
	if (given->seats)
		options.seats = (unsigned)given->seats;
	options.requests = given->requests;
	options.cache = given->cache;
	options.fresh_ns = given->fresh;
	if (given->decode_timeout)
		options.decode_timeout_ns = given->decode_timeout;
	if (given->mode)
		status = parse_mode(given->mode, &options.access.mode, err);
	if (!status && given->group)
		status = parse_group(given->group, &options.access.group, err);
	if (!status)
		status = command && !given->name_space
				 ? own_namespace(&options.space, err)
				 : namespace_parse(given->name_space, &options.space, err);
	if (!status)
		*ret = options;
	return status;
}

/* Starts the command with the namespace in its environment and signals as we found them. */
static int start_command(
	char **argv, const struct name_space *space, const sigset_t *mask, pid_t *ret)
{
	posix_spawnattr_t attributes;
	int failed;

	setenv(NAMESPACE_VARIABLE, space->text, 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, mask);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	failed = posix_spawnp(ret, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return failed;
}

/* The status by which a shell would report the command's end. */
static int command_status(const siginfo_t *end)
{
	return end->si_code == CLD_EXITED ? end->si_status : 128 + end->si_status;
}

struct service {
	struct server *server;
	pid_t command; /* 0: none */
	int status;
};

/* Looks whether the command has ended; true if so. */
static bool command_ended(struct service *service)
{
	siginfo_t end = {0};

	if (!service->command ||
		waitid(P_PID, (id_t)service->command, &end, WEXITED | WNOHANG) != 0 || !end.si_pid)
		return false;
	service->status = command_status(&end);
	service->command = 0;
	return true;
}

/*
 * Tends the server until a signal, the command's end or the last request. With a command, signals
 * are passed on to it and its end is ours; without one, SIGTERM and SIGINT are the ordinary way to
 * end.
 */
static int tend(struct service *service, const sigset_t *signals, struct error *err)
{
	struct timespec turn = clock_timespec(TEND_NS);
	bool with_command = service->command != 0, done = false;
	int status;

	for (;;) {
		siginfo_t info;
		int number = sigtimedwait(signals, &info, &turn);

		if (with_command && command_ended(service))
			return service->status;
		if (number > 0 && number != SIGCHLD) {
			if (!with_command)
				return STATUS_OK;
			kill(service->command, number);
		}
		status = server_tend(service->server, &done, err);
		if (status)
			return status;
		if (done && !with_command)
			return STATUS_OK;
	}
}

static void say_ready(const struct server_options *options, const struct server *server)
{
	char size[SIZE_TEXT_SIZE];

	fprintf(stderr,
		"shmsem serve: serving '%s' as '%s' (%u decoder%s, %u seat%s, %s of store); "
		"ask with: shmsem fetch -N %s NAME\n",
		options->directory, options->space.text, options->decoders,
		options->decoders == 1 ? "" : "s", options->seats, options->seats == 1 ? "" : "s",
		format_size(server_cache(server), size), options->space.text);
}

static int run(const void *given, int argc, char **argv, struct error *err)
{
	const struct serve_options *serve = given;
	bool with_command = argc > 1;
	struct server_options options;
	struct service service = {0};
	sigset_t signals, before;
	int status;

	if (argc < 1)
		return error_set(err, STATUS_USAGE, "which folder? 'shmsem serve DIR'");
	status = make_options(serve, with_command, &options, err);
	if (status)
		return status;
	options.directory = argv[0];

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	status = server_start(&options, &service.server, err);
	if (status)
		return status;
	if (!serve->quiet && !with_command)
		say_ready(&options, service.server);
	notify_manager("READY=1");
	if (with_command) {
		int failed = start_command(argv + 1, &options.space, &before, &service.command);

		if (failed) {
			error_os(err, failed, "cannot run '%s'", argv[1]);
			status = failed == ENOENT ? 127 : 126;
		}
	}
	if (!status)
		status = tend(&service, &signals, err);
	notify_manager("STOPPING=1");
	server_stop(service.server);
	return status;
}

const struct command command_serve = {
	.name = "serve",
	.summary = "decode the images of a folder for whoever asks",
	.synopsis = "[OPTION…] DIR\n[OPTION…] DIR -- COMMAND [ARGUMENT…]",
	.details = "Decodes the PNG and JPEG files below DIR on request and hands the pixels over "
		   "in shared memory.\n"
		   "With a COMMAND it serves under a namespace of its own, runs COMMAND with "
		   "SHMSEM_NAMESPACE set,\n"
		   "and ends with its status.",
	.options = rows,
	.options_size = sizeof(struct serve_options),
	.run = run,
};
