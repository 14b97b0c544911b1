#include "exchange/spin.h"

#include "base/clock.h"

#include <sched.h>

/* As the end of the time to spin: not yet known. */
#define SPIN_BEGUN 1

unsigned spin_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

void spin_init(struct spin *spin, uint64_t budget_ns)
{
	unsigned cpus = spin_cpus();

	*spin = (struct spin){
		.score = SPIN_SCORE_MAX, .budget = cpus > 1 ? budget_ns : 0, .cpus = cpus};
}

bool spin_on(const struct spin *spin, uint64_t *until)
{
	switch (*until) {
	case 0:
		/* Whoever we wait for needs a CPU, too. */
		if (!spin->budget || spin->score <= SPIN_SCORE_MAX / 2 ||
			spin->wanted + 2 > spin->cpus)
			return false;
		*until = SPIN_BEGUN;
		return true;
	case SPIN_BEGUN:
		*until = clock_now() + spin->budget;
		return true;
	default:
		return clock_now() < *until;
	}
}

void spin_learn(struct spin *spin, uint64_t waited_ns)
{
	if (waited_ns <= spin->budget)
		spin->score += spin->score < SPIN_SCORE_MAX;
	else
		spin->score -= spin->score > 0;
}
