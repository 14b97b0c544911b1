#include "cli/service.h"

#include "base/clock.h"
#include "cli/tell.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define UPKEEP_NS (250 * NS_PER_MS) /* without a server */

extern char **environ;

void service_take_signals(struct service *service)
{
	struct sigaction hangup;

	sigemptyset(&service->signals);
	sigaddset(&service->signals, SIGTERM);
	sigaddset(&service->signals, SIGINT);
	sigaddset(&service->signals, SIGCHLD);
	if (sigaction(SIGHUP, NULL, &hangup) != 0 || hangup.sa_handler != SIG_IGN)
		sigaddset(&service->signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &service->signals, &service->before);
}

/* The next signal but SIGCHLD, if one comes in time; 0 if not. */
static int next_signal(const struct service *service, uint64_t wait_ns, siginfo_t *ret)
{
	struct timespec turn = clock_timespec(wait_ns);
	int number = sigtimedwait(&service->signals, ret, &turn);

	return number > 0 && number != SIGCHLD ? number : 0;
}

bool service_ended(const struct service *service, uint64_t wait_ns)
{
	siginfo_t info;

	return next_signal(service, wait_ns, &info) != 0;
}

int service_start_command(
	struct service *service, char **argv, const struct name_space *space, struct error *err)
{
	posix_spawnattr_t attributes;
	sigset_t defaults;
	int failed;

	setenv(NAMESPACE_VARIABLE, space->text, 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &service->before);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGXFSZ); /* which main ignores */
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	failed = posix_spawnp(&service->command, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	if (!failed)
		return STATUS_OK;
	service->command = 0;
	error_os(err, failed, "cannot run '%s'", argv[0]);
	return failed == ENOENT ? 127 : 126;
}

/* The status by which a shell would report the command's end. */
static int command_status(const siginfo_t *end)
{
	return end->si_code == CLD_EXITED ? end->si_status : 128 + end->si_status;
}

/* Looks whether the command has ended; true if so. */
static bool command_ended(struct service *service, int *ret_status)
{
	siginfo_t end = {0};

	if (waitid(P_PID, (id_t)service->command, &end, WEXITED | WNOHANG) != 0 || !end.si_pid)
		return false;
	*ret_status = command_status(&end);
	service->command = 0;
	return true;
}

/* Says when no decoder can be started, once, and when one can again. */
static void tell_of_decoders(struct service *service)
{
	struct error why;
	bool lacks = server_lacks_decoders(service->server, &why);

	if (lacks == service->lacks_decoders)
		return;
	service->lacks_decoders = lacks;
	if (lacks)
		tell("%s: only images in the store are served; still trying", why.text);
	else
		tell("decoders can be started again");
}

static void tell_of_watches(struct service *service)
{
	if (service->lacks_watches || !server_lacks_watches(service->server))
		return;
	service->lacks_watches = true;
	tell("warning: there are no more inotify watches "
	     "(fs.inotify.max_user_watches or user.max_inotify_watches, see 'shmsem doctor'): "
	     "answers for what got none look at its file, which is slower");
}

static void tell_notices(struct service *service)
{
	struct error notice;

	while (server_take_notice(service->server, false, &notice))
		tell("%s", notice.text);
}

static int upkeep(struct service *service, bool *ret_done, struct error *err)
{
	if (service->server) {
		tell_of_decoders(service);
		tell_of_watches(service);
		tell_notices(service);
		return server_upkeep(service->server, ret_done, err);
	}
	if (service->join)
		return join_upkeep(service->join, ret_done, err);
	*ret_done = false;
	return STATUS_OK;
}

void service_stop(struct service *service)
{
	struct error last[NOTICES_MAX + 1];
	unsigned count = 0;

	while (service->server && count < NOTICES_MAX + 1 &&
		server_take_notice(service->server, true, &last[count]))
		count++;
	server_stop(service->server);
	join_stop(service->join);
	for (unsigned i = 0; i < count; i++)
		tell("%s", last[i].text);
	service->server = NULL;
	service->join = NULL;
}

static uint64_t upkeep_ns(const struct service *service)
{
	return service->server ? server_upkeep_ns(service->server) : UPKEEP_NS;
}

static int run_alone(struct service *service, struct error *err)
{
	bool done = false;
	int status = STATUS_OK;
	siginfo_t info;

	while (!done && !status && !next_signal(service, upkeep_ns(service), &info))
		status = upkeep(service, &done, err);
	return status;
}

static int run_with_command(struct service *service, struct error *err)
{
	bool done = false;
	int status = STATUS_OK;

	for (;;) {
		siginfo_t info;
		int number = next_signal(service, upkeep_ns(service), &info), ended;

		if (command_ended(service, &ended))
			return status ? status : ended;
		/* What the terminal sends, the command has got itself. */
		if (number && info.si_code != SI_KERNEL)
			kill(service->command, number);
		if (status)
			continue;
		status = upkeep(service, &done, err);
		if (status)
			kill(service->command, SIGTERM);
		if (status || done)
			service_stop(service);
	}
}

int service_run(struct service *service, struct error *err)
{
	return service->command ? run_with_command(service, err) : run_alone(service, err);
}
