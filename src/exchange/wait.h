/*
 * The one wait of the exchange, for a request or for an answer: spin while that pays, then sleep on
 * a semaphore.
 *
 * A spin saves the two context switches of a sleep (10 to 70 us) when the other side is about to
 * act, and burns a CPU when it is not. It can even be what keeps the other side from acting: on
 * one CPU, and on a busy host. So each spin that fails is followed by waits that sleep at once, the
 * more of them the more often spins have failed lately.
 */
#pragma once

#include "base/clock.h"
#include "base/waiting.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* When to spin: the history of one side of one exchange. */
struct spin {
	uint64_t limit_ns; /* of a spin: about what the shortest sleeps took lately, as both sides
			      would only ever sleep if a spin ended before the other wakes up */
	unsigned cpus;     /* that this process may run on */
	unsigned busy; /* of them, by work that was handed out; the caller keeps it up to date */
	unsigned skip; /* short waits to sleep through before the next spin */
	unsigned skip_next; /* the same after the next spin that fails */
	unsigned successes; /* spins in a row that succeeded */
};

struct wait {
	sem_t *semaphore;
	const atomic_bool *stopping; /* ends a spin; NULL: nothing does */
	struct spin spin;
	unsigned idle_wakes; /* in a row: woken, and there was nothing */
	unsigned waits;      /* so far */
	uint64_t looked_ns;  /* when it last slept after looking everywhere */
	bool distant; /* `look` says so: what is waited for is farther off than a spin is long */
};

enum wait_result {
	WAIT_FOUND,
	WAIT_NOTHING,     /* time is up, or it was woken for nothing: the caller decides */
	WAIT_INTERRUPTED, /* by the hook of `waiting` */
};

/* Where to look, each being a part of the next. */
enum wait_where {
	WAIT_LAST,   /* where it was found last */
	WAIT_HINTED, /* where hints lead */
	WAIT_ALL,    /* everywhere: hints may be lost */
};

/* Looks at shared memory for what is waited for and notes it in `context`. */
typedef bool wait_look(void *context, enum wait_where where);

void wait_init(struct wait *wait, sem_t *semaphore, const atomic_bool *stopping);

/*
 * Waits until `look` finds something: for `slice_ns` at most, and not beyond `timeout`. Tokens are
 * only hints; whatever their number, `look` decides, and what others have done to the semaphore is
 * put right. The thread that sets *stopping posts the semaphore, too. `waiting` may be NULL.
 */
enum wait_result wait_for(struct wait *wait, struct timeout *timeout, uint64_t slice_ns,
	struct waiting *waiting, wait_look *look, void *context);

/* What was found is to take longer than a spin, and nothing else is near: the next wait sleeps. */
static inline void wait_skip_spin(struct wait *wait)
{
	wait->spin.skip += !wait->spin.skip;
}

/* Takes away the tokens of what was found by spinning, and what others have posted. */
void wait_drain(struct wait *wait);

static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}
