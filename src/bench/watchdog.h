/*
 * Why no wait of a benchmark lasts for ever: a timer interrupts every system call that blocks and
 * every loop that spins, a few times a second; the interrupted code asks watchdog_check whether to
 * go on. So mechanisms that know no time-out (msgrcv, a read from a pipe) need none, and the timed
 * path carries no clock.
 */
#pragma once

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* One side of an exchange, watching the other. */
struct watchdog {
	pid_t peer;
	bool peer_is_child; /* or else the parent */
	unsigned ticks;     /* since something last got done */
};

/* Set by every tick and every signal that asks to end; loops that spin look at it. */
extern volatile sig_atomic_t watchdog_ticked;

/*
 * In the process that measures: SIGINT, SIGTERM and SIGHUP are noted rather than deadly from now
 * on, SIGPIPE is an error of write, and the timer runs. watchdog_end restores it all.
 */
int watchdog_begin(struct error *err);
void watchdog_end(void);

/*
 * In a child it has forked: the timer runs here, too; signals from the terminal are the parent's
 * to answer, and the parent's death is a tick.
 */
int watchdog_begin_child(struct watchdog *watchdog, pid_t parent, struct error *err);

/* Whether a signal asked to end, and which (0: none). */
bool watchdog_stopped(void);
int watchdog_signal(void);

/* After a tick or EINTR: STATUS_OK to go on waiting. Errors: told to end, the other side is dead,
 * or, in the process that measures, nothing got done for 10 s. */
int watchdog_check(struct watchdog *watchdog, struct error *err);

/* An exchange broke with `status`: if that is because the other side died, which may take a moment to
 * show, says so in *err instead of what is there. Returns the status that is there then. */
int watchdog_explain(const struct watchdog *watchdog, int status, struct error *err);

/* Something got done: the 10 s start again. */
static inline void watchdog_progress(struct watchdog *watchdog)
{
	watchdog->ticks = 0;
}
