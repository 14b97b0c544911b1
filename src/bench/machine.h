/*
 * What a measurement ran on, and what about it spoils measurements.
 */
#pragma once

#include "base/error.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

struct machine {
	char model[128];
	char kernel[160]; /* name, release, architecture */
	int cpus;         /* online */
	int allowed;      /* of them, for this process */
	cpu_set_t set;    /* those allowed */
	double load;      /* average of the last minute, at the start; -1 if unknown */
	/* Where the requester and the responder run; -1: where the system puts them. */
	int requester_cpu, responder_cpu;
};

/* Fills in all but the last line, which becomes -1. */
void machine_describe(struct machine *ret);

/*
 * Chooses where both sides run. `pin` is "A,B", "A" for both on one CPU, "none", or NULL: two CPUs
 * of different cores, if there are two, else none.
 */
int machine_pin(struct machine *machine, const char *pin, struct error *err);

/* The calling process runs on that CPU from now on; -1: it stays where it is allowed to be. */
int machine_run_on(int cpu, struct error *err);

/* It runs again wherever it was allowed to at first. */
void machine_run_anywhere(const struct machine *machine);

/* Whether both sides run on one core, be it as two of its threads. */
bool machine_shares_core(const struct machine *machine);

/* What spoils a measurement here, the `index`-th of it, with its remedy; NULL: no more. The text is
 * valid until the next call. */
const char *machine_warning(const struct machine *machine, size_t index);
