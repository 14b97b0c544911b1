/*
 * Whether to spin before sleeping. Spinning saves the two context switches of a sleep (10 to 70 us)
 * when the answer is near, and burns a CPU when it is not, so it is done only while it has lately
 * paid, and never on one CPU.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct spin {
	int score;       /* 0 to SPIN_SCORE_MAX: how often it has lately paid */
	uint64_t budget; /* ns to spin at the most */
	unsigned cpus;   /* that this process may run on */
	unsigned
		wanted; /* of these, by others at this moment: to be kept up to date by who knows */
};

#define SPIN_SCORE_MAX 16
#define SPIN_LOOKS     64

/* `budget_ns` of 0 or a process that may use one CPU only: never spins. */
void spin_init(struct spin *spin, uint64_t budget_ns);

/*
 * Whether to go on spinning; to be asked before each SPIN_LOOKS looks, with *until 0 before the
 * first. Time begins to count after those.
 */
bool spin_on(const struct spin *spin, uint64_t *until);

/* To be told after each wait how long it took, spun or slept: what the next decisions rest on. */
void spin_learn(struct spin *spin, uint64_t waited_ns);

/* CPUs that this process may run on. */
unsigned spin_cpus(void);

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
