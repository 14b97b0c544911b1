/*
 * The responder's process of a transport (transport.h).
 */
#pragma once

#include "bench/transport.h"

#include <sys/types.h>

/* It is to refill its payload if the seed is new, then to answer so many requests. */
struct responder_order {
	uint64_t operations;
	uint64_t seed;
};

/*
 * In the process that `parent` has forked for it: joins, sends an error without a status by `control`,
 * then follows the orders that come from there until it is killed or the parent is gone. What goes
 * wrong is sent, too.
 */
_Noreturn void responder_run(
	struct channel *channel, int control, pid_t parent, int cpu, struct error *err);
