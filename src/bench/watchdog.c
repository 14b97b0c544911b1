#include "bench/watchdog.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICKS_A_SECOND 4
#define SECONDS_MAX    10

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define ENDING_SIGNALS (sizeof ending_signals / sizeof *ending_signals)

volatile sig_atomic_t watchdog_ticked;
static volatile sig_atomic_t end_signal;

static struct sigaction old_ending[ENDING_SIGNALS], old_alarm, old_pipe;

static void note_tick(int number)
{
	(void)number;
	watchdog_ticked = 1;
}

static void note_end(int number)
{
	end_signal = number;
	watchdog_ticked = 1;
}

static int start_timer(struct error *err)
{
	const struct timeval period = {.tv_usec = 1000000 / TICKS_A_SECOND};
	const struct itimerval timer = {.it_interval = period, .it_value = period};

	return setitimer(ITIMER_REAL, &timer, NULL) ? error_os(err, errno, "cannot start a timer")
						    : STATUS_OK;
}

int watchdog_begin(struct error *err)
{
	/* No SA_RESTART: that calls are interrupted is the point. */
	struct sigaction tick = {.sa_handler = note_tick}, end = {.sa_handler = note_end};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	end_signal = 0;
	sigaction(SIGALRM, &tick, &old_alarm);
	sigaction(SIGPIPE, &ignore, &old_pipe);
	for (size_t i = 0; i < ENDING_SIGNALS; i++) {
		sigaction(ending_signals[i], NULL, &old_ending[i]);
		if (old_ending[i].sa_handler != SIG_IGN) /* nohup stays nohup */
			sigaction(ending_signals[i], &end, NULL);
	}
	return start_timer(err);
}

void watchdog_end(void)
{
	const struct itimerval off = {0};

	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &old_alarm, NULL);
	sigaction(SIGPIPE, &old_pipe, NULL);
	for (size_t i = 0; i < ENDING_SIGNALS; i++)
		sigaction(ending_signals[i], &old_ending[i], NULL);
}

int watchdog_begin_child(struct watchdog *watchdog, pid_t parent, struct error *err)
{
	*watchdog = (struct watchdog){.peer = parent};
	end_signal = 0;
	for (size_t i = 0; i < ENDING_SIGNALS; i++)
		signal(ending_signals[i], SIG_IGN);
	if (prctl(PR_SET_PDEATHSIG, SIGALRM))
		return error_os(err, errno, "cannot ask to be told of the parent's end");
	return start_timer(err); /* timers are not inherited */
}

bool watchdog_stopped(void)
{
	return end_signal != 0;
}

int watchdog_signal(void)
{
	return end_signal;
}

static int check_peer(const struct watchdog *watchdog, struct error *err)
{
	siginfo_t info = {0};

	if (!watchdog->peer_is_child)
		return getppid() == watchdog->peer
			       ? STATUS_OK
			       : error_set(err, STATUS_UNAVAILABLE, "the requester died");
	if (waitid(P_PID, (id_t)watchdog->peer, &info, WEXITED | WNOHANG | WNOWAIT))
		return error_os(err, errno, "cannot watch the responder");
	if (!info.si_pid)
		return STATUS_OK;
	if (info.si_code == CLD_EXITED)
		return error_set(err, STATUS_UNAVAILABLE, "the responder ended early (status %d)",
			info.si_status);
	return error_set(err, STATUS_UNAVAILABLE, "the responder was killed by signal %d (SIG%s)",
		info.si_status, sigabbrev_np(info.si_status));
}

int watchdog_explain(const struct watchdog *watchdog, int status, struct error *err)
{
	const struct timespec moment = clock_timespec(NS_PER_MS);
	struct error cause = {0};

	/* Descriptors are closed a little before the death of their process is told. */
	for (int i = 0; i < 50 && !end_signal; i++) {
		if (check_peer(watchdog, &cause))
			return error_copy(err, &cause);
		nanosleep(&moment, NULL);
	}
	return status;
}

int watchdog_check(struct watchdog *watchdog, struct error *err)
{
	watchdog_ticked = 0;
	if (end_signal)
		return error_set(err, STATUS_UNAVAILABLE, "interrupted");
	/* A responder waits for as long as there is nothing to do. */
	if (watchdog->peer_is_child && ++watchdog->ticks > TICKS_A_SECOND * SECONDS_MAX)
		return error_set(err, STATUS_TRY_AGAIN, "nothing came from the other side for %d s",
			SECONDS_MAX);
	return check_peer(watchdog, err);
}
