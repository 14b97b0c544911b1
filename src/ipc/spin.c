#include "ipc/spin.h"

#include "base/clock.h"

#include <sched.h>

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
		.score = SPIN_SCORE_MOST, .budget = cpus > 1 ? budget_ns : 0, .cpus = cpus};
}

uint64_t spin_until(const struct spin *spin)
{
	/* Whoever we wait for needs a CPU, too. */
	if (!spin->budget || spin->score <= SPIN_SCORE_MOST / 2 || spin->wanted + 2 > spin->cpus)
		return 0;
	return clock_now() + spin->budget;
}

void spin_learn(struct spin *spin, uint64_t waited_ns)
{
	if (waited_ns <= spin->budget)
		spin->score += spin->score < SPIN_SCORE_MOST;
	else
		spin->score -= spin->score > 0;
}
