/* shmsem serve: the server, and the command that may run beside it. */
#include "cli/commands.h"

#include "base/number.h"
#include "cli/logind.h"
#include "cli/needed_calls.h"
#include "cli/notify.h"
#include "cli/serve_options.h"
#include "cli/service.h"
#include "cli/tell.h"
#include "cli/terminal.h"
#include "exchange/server_defaults.h"
#include "server/change_flag.h"
#include "server/preload.h"
#include "server/sandbox.h"
#include "server/server.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Whether a class of other users gets both, without which neither counts. */
static bool admits_others(mode_t mode)
{
	return (mode & 0060) == 0060 || (mode & 0006) == 0006;
}

/* What fetch needs where other users than ours are to ask; all accept root's. */
static const char *server_user_text(const struct server_options *options, char text[64])
{
	bool needed = admits_others(options->access.mode) && geteuid() != 0;
	const struct passwd *user = needed ? getpwuid(geteuid()) : NULL;

	text[0] = '\0';
	if (user)
		snprintf(text, 64, " --server-user %s", user->pw_name);
	else if (needed)
		snprintf(text, 64, " --server-user %u", (unsigned)geteuid());
	return text;
}

static void say_mode(mode_t mode)
{
	if ((mode & 0066) && !admits_others(mode))
		tell("warning: --mode %04o admits no other user: "
		     "a class of users needs to read and write",
			(unsigned)mode);
}

static void say_ready(const struct server_options *options, const struct server *server)
{
	char size[SIZE_TEXT_SIZE], user[64];

	if (!server) {
		tell("answering the requester that creates '%s' with the images "
		     "of '%s'; ask "
		     "with: shmsem fetch -N %s --create NAME",
			options->space.text, options->directory, options->space.text);
		return;
	}
	tell("serving '%s' as '%s' (%u decoder%s, %u seat%s, %s of store); "
	     "ask with: shmsem fetch -N %s%s NAME",
		options->directory, options->space.text, options->decoders,
		options->decoders == 1 ? "" : "s", options->seats, options->seats == 1 ? "" : "s",
		format_size(server_cache(server), size), options->space.text,
		server_user_text(options, user));
}

/* More than there is may be meant for later: images are refused only when there is none left. */
static void say_room(uint64_t cache)
{
	char size[SIZE_TEXT_SIZE], room[SIZE_TEXT_SIZE];
	uint64_t available = server_room();

	if (cache > available)
		tell("warning: --cache %s is more than the %s that are free on /dev/shm, "
		     "or that its control group may have",
			format_size(cache, size), format_size(available, room));
}

static void say(const char *message)
{
	tell("%s", message);
}

struct preloading {
	const struct service *service;
	bool terminal, quiet;
	bool ended; /* by a signal */
};

static bool show_preload(void *context, const struct preload_progress *progress)
{
	struct preloading *preloading = context;

	preloading->ended = service_ended(preloading->service, 0);
	if (preloading->quiet)
		return !preloading->ended;
	if (preloading->terminal && progress->finished)
		terminal_line("%s", "");
	else if (preloading->terminal)
		terminal_line(
			"shmsem serve: preloading %zu of %zu", progress->done, progress->images);
	if (progress->finished)
		tell("preloaded %zu of %zu image%s%s", progress->done - progress->failed,
			progress->images, progress->images == 1 ? "" : "s",
			progress->full ? "; the store (--cache) is full" : "");
	return !preloading->ended;
}

/* *ret_ended: a signal came before it had begun to serve. */
static int start(struct service *service, const struct serve_options *given,
	struct server_options *options, bool *ret_ended, struct error *err)
{
	struct preloading preloading = {
		.service = service, .terminal = isatty(STDERR_FILENO), .quiet = given->quiet};
	const struct preload_options preload = {.patterns = given->preload.texts,
		.patterns_count = given->preload.count,
		.progress = show_preload,
		.say = say,
		.context = &preloading};
	int status;

	if (given->join)
		return join_start(options, say, &service->join, err);
	say_mode(options->access.mode);
	say_room(options->cache);
	options->preload = given->preload.count ? &preload : NULL;
	status = server_start(options, &service->server, err);
	*ret_ended = preloading.ended;
	return status;
}

static void warn_of_logind(void)
{
	const struct passwd *user = getpwuid(geteuid());
	const char *name = user ? user->pw_name : "";
	enum logind_removal removal = logind_removal("", geteuid(), name);
	char number[16];

	if (removal == LOGIND_KEEPS)
		return;
	snprintf(number, sizeof number, "%u", (unsigned)geteuid());
	tell("warning: logind is set to remove the shared memory of user '%s' "
	     "when %s last session ends, and this server then ends, too; "
	     "'loginctl enable-linger', a system user or RemoveIPC=no (logind.conf(5)) prevents "
	     "that",
		user ? name : number,
		removal == LOGIND_LOGGED_IN ? "the" : "the user has logged in and the");
}

/* A sandbox with a hole is said once, whatever --quiet says. */
static void say_missing(unsigned missing)
{
	if (missing & SANDBOX_NO_SECCOMP)
		tell("no seccomp: decoders can make any system call");
	if (missing & SANDBOX_NO_LANDLOCK)
		tell("no Landlock in this kernel: decoders run without");
}

static void say_no_inotify(void)
{
	tell("warning: no inotify instance is to be had "
	     "(fs.inotify.max_user_instances "
	     "or user.max_inotify_instances, see 'shmsem doctor'): each answer looks at its file, "
	     "which is slower");
}

/* An older kernel is as it should be; one that refuses may be told not to. */
static void say_no_io_uring(const struct server_options *options)
{
	int missing = options->fresh_ns || options->requests ? 0 : change_flag_share_missing();

	if (missing == EPERM || missing == EACCES)
		tell("warning: io_uring is refused (kernel.io_uring_disabled or a "
		     "seccomp profile, see 'shmsem doctor'): clients ask for each stored image; "
		     "with --fresh they find them");
}

static void say_started(const struct serve_options *serve, const struct server_options *options,
	const struct service *service, bool with_command)
{
	say_missing(service->server ? server_missing(service->server) : sandbox_missing());
	if (service->server && !server_has_inotify(service->server))
		say_no_inotify();
	if (serve->quiet || with_command)
		return;
	say_ready(options, service->server);
	if (service->server)
		say_no_io_uring(options);
	warn_of_logind();
}

static int make_options(const struct serve_options *serve, int argc, char **argv,
	struct server_options *ret, struct error *err)
{
	int status = serve_options_check(serve, argc, argv, err);

	if (status)
		return status;
	status = needed_calls_check(err);
	if (status)
		return status;
	status = serve_options_make(serve, argc > 1, ret, err);
	if (status)
		return status;
	ret->directory = argv[0];
	return STATUS_OK;
}

static int run(const void *given, int argc, char **argv, struct error *err)
{
	const struct serve_options *serve = given;
	bool with_command = argc > 1;
	struct server_options options;
	struct service service = {0};
	bool ended = false;
	int status = make_options(serve, argc, argv, &options, err);

	if (status)
		return status;
	/* No process of its user takes it over by ptrace(2), and it leaves no core. */
	prctl(PR_SET_DUMPABLE, 0);
	service_take_signals(&service);
	status = start(&service, serve, &options, &ended, err);
	if (ended) {
		service_stop(&service);
		err->text[0] = '\0';
		return STATUS_OK;
	}
	if (status)
		return status;
	say_started(serve, &options, &service, with_command);
	notify_manager("READY=1");
	if (with_command)
		status = service_start_command(&service, argv + 1, &options.space, err);
	if (!status)
		status = service_run(&service, err);
	notify_manager("STOPPING=1");
	service_stop(&service);
	return status;
}

const struct command command_serve = {
	.name = "serve",
	.summary = "decode the images of a folder on request",
	.synopsis = "[OPTION…] DIR\n[OPTION…] DIR -- COMMAND [ARGUMENT…]",
	.details = "Decodes the PNG and JPEG files below DIR on request and hands the pixels over "
		   "in shared memory.\n"
		   "With a COMMAND it serves under a namespace of its own, runs COMMAND with "
		   "SHMSEM_NAMESPACE set, "
		   "and ends with its status.",
	.options = serve_rows,
	.options_size = sizeof(struct serve_options),
	.run = run,
};
