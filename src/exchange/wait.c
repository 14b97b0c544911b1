#include "exchange/wait.h"

#include "base/process.h"
#include "shm/semaphore.h"

#include <time.h>

#define DRAIN_MAX     256
#define STORM_REST_NS NS_PER_MS

/* Wake-ups in a row with nothing to be found, after which they are a storm. */
#define STORM_WAKES 16

/* Looks of a spin between two looks at the clock. Without the first of them, which cost less than
 * the clock, an answer that comes at once would cost twice as much. */
#define LOOKS 64

/* One of so many looks follows hints: that takes longer than an answer. */
#define LOOKS_HINTED 8

/* What no hint leads to any more is found after so long, or after so many waits. */
#define LOOK_ALL_NS    (100 * NS_PER_MS)
#define LOOK_ALL_WAITS 4096

/* Waits that sleep after spins that failed again and again; and after one that nothing ended. */
#define SKIP_MAX  127
#define SKIP_IDLE 15

/* A spin that fails costs about as much as so many that succeed have saved. */
#define SUCCESSES_FOR_A_FAILURE 8

/* Limits of a spin: a sleep takes 5 to 10 us on one CPU, 20 to 60 across two that may be virtual. */
#define SPIN_MIN_NS   (20 * NS_PER_US)
#define SPIN_FIRST_NS (40 * NS_PER_US)
#define SPIN_MAX_NS   (100 * NS_PER_US)

/* A sleep that was longer says nothing of waking up: there was nothing to wait for yet. */
#define BRIEF_SLEEP_NS (250 * NS_PER_US)

void wait_init(struct wait *wait, sem_t *semaphore, const atomic_bool *stopping)
{
	*wait = (struct wait){.semaphore = semaphore,
		.stopping = stopping,
		.spin = {.limit_ns = SPIN_FIRST_NS, .cpus = process_cpus()}};
}

static bool spin_worthwhile(const struct spin *spin)
{
	/* The other side needs a CPU, too. */
	return !spin->skip && spin->cpus >= spin->busy + 2;
}

static void learn_from_sleep(struct spin *spin, uint64_t slept_ns)
{
	uint64_t limit = slept_ns < SPIN_MIN_NS   ? SPIN_MIN_NS
			 : slept_ns > SPIN_MAX_NS ? SPIN_MAX_NS
						  : slept_ns;

	spin->skip -= spin->skip > 0;
	/* Down at once, and slowly up again. */
	if (limit < spin->limit_ns)
		spin->limit_ns = limit;
	else if (slept_ns <= BRIEF_SLEEP_NS)
		spin->limit_ns += (limit - spin->limit_ns) / 16;
}

static void learn_from_success(struct spin *spin)
{
	if (spin->skip_next && ++spin->successes == SUCCESSES_FOR_A_FAILURE) {
		spin->skip_next /= 2;
		spin->successes = 0;
	}
}

/* Of a spin that nothing ended, because nobody does anything, it says little that it failed. */
static void learn_from_failure(struct spin *spin, bool found)
{
	spin->successes = 0;
	if (!found) {
		spin->skip = SKIP_IDLE;
		return;
	}
	spin->skip_next = spin->skip_next < SKIP_MAX ? 2 * spin->skip_next + 1 : SKIP_MAX;
	spin->skip = spin->skip_next;
}

void wait_drain(struct wait *wait)
{
	if (semaphore_drain(wait->semaphore, DRAIN_MAX) == DRAIN_MAX)
		semaphore_reset(wait->semaphore);
}

static bool look_often(const struct wait *wait, wait_look *look, void *context)
{
	for (int i = 0; i < LOOKS && !wait->distant; i++) {
		if (look(context, i % LOOKS_HINTED ? WAIT_LAST : WAIT_HINTED))
			return true;
		spin_pause();
	}
	return false;
}

/* Spins on, and learns from it if it finds something. */
static bool spin_for(struct wait *wait, wait_look *look, void *context)
{
	uint64_t end = clock_now() + wait->spin.limit_ns;
	bool found = false, late = false;

	while (!found && !late && !wait->distant &&
		!(wait->stopping && atomic_load_explicit(wait->stopping, memory_order_relaxed))) {
		found = look_often(wait, look, context);
		/* Time in which others had the CPU counts: that may have been the other side. */
		late = clock_now() >= end;
	}
	if (found && late)
		learn_from_failure(&wait->spin, true);
	else if (found)
		learn_from_success(&wait->spin);
	return found;
}

/* Sleeps until there is a token; whether there was one. */
static bool sleep_until(struct wait *wait, uint64_t deadline)
{
	bool woken = semaphore_wait(wait->semaphore, deadline);

	/* What somebody has done to it, to its count of waiters even, is put right. */
	if (!woken)
		semaphore_reset(wait->semaphore);
	return woken;
}

/* Somebody posts what is nothing: rest between two looks instead of running after every post. */
static void rest_in_storm(struct wait *wait, bool idle)
{
	const struct timespec rest = clock_timespec(STORM_REST_NS);

	wait->idle_wakes = idle ? wait->idle_wakes + 1 : 0;
	if (wait->idle_wakes > STORM_WAKES)
		nanosleep(&rest, NULL);
}

/* What a wait says that no spin ended. */
static void learn(struct spin *spin, bool spun, bool found, uint64_t slept_ns)
{
	if (spun)
		learn_from_failure(spin, found);
	else
		learn_from_sleep(spin, slept_ns);
}

/* The last look before a sleep. */
static bool look_before_sleep(struct wait *wait, uint64_t now, wait_look *look, void *context)
{
	bool all = now - wait->looked_ns >= LOOK_ALL_NS;

	if (all)
		wait->looked_ns = now;
	return look(context, all ? WAIT_ALL : WAIT_HINTED);
}

/* Spins on, if it has spun, then sleeps; whether it found something. */
static bool wait_longer(struct wait *wait, struct timeout *timeout, uint64_t slice_ns, bool spun,
	wait_look *look, void *context)
{
	uint64_t begin, deadline;
	bool woken, found;

	if (spun && spin_for(wait, look, context))
		return true;
	begin = clock_now();
	wait_drain(wait);
	if (look_before_sleep(wait, begin, look, context)) {
		learn(&wait->spin, spun, true, 0);
		return true;
	}
	deadline = timeout_deadline(timeout);
	woken = sleep_until(wait, deadline < begin + slice_ns ? deadline : begin + slice_ns);
	found = look(context, woken ? WAIT_HINTED : WAIT_ALL);
	learn(&wait->spin, spun, found, clock_now() - begin);
	if (found)
		wait->idle_wakes = 0;
	else
		rest_in_storm(wait, woken);
	return found;
}

enum wait_result wait_for(struct wait *wait, struct timeout *timeout, uint64_t slice_ns,
	struct waiting *waiting, wait_look *look, void *context)
{
	bool spun = spin_worthwhile(&wait->spin), found, interrupted;

	if (++wait->waits % LOOK_ALL_WAITS == 0 && look(context, WAIT_ALL))
		return WAIT_FOUND;
	/* What comes at once does not pay for the hook. */
	wait->distant = false;
	if (spun && look_often(wait, look, context)) {
		learn_from_success(&wait->spin);
		return WAIT_FOUND;
	}
	if (waiting)
		waiting_begin(waiting);
	found = wait_longer(wait, timeout, slice_ns, spun, look, context);
	interrupted = waiting && waiting_end(waiting);
	if (found)
		return WAIT_FOUND;
	return interrupted ? WAIT_INTERRUPTED : WAIT_NOTHING;
}
