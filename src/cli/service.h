/*
 * What `shmsem serve` does while it serves: signals, the command beside it, and the end.
 */
#pragma once

#include "server/join.h"
#include "server/server.h"
#include "shm/names.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct service {
	struct server *server; /* one of these two, */
	struct join *join;     /* or none any more */
	pid_t command;         /* 0: none */
	bool lacks_decoders;   /* said so of the server, and not yet that this is over */
	bool lacks_watches;    /* said so of the server */
	sigset_t signals;      /* that are waited for */
	sigset_t before;       /* the mask as it was found */
};

/* Blocks the signals that end a service, to be waited for. SIGHUP is left alone where it is
 * ignored, as nohup(1) does. */
void service_take_signals(struct service *service);

/* Whether one of them has come that asks for the end; waits `wait_ns` for it. */
bool service_ended(const struct service *service, uint64_t wait_ns);

/* Starts the command, with the namespace in its environment and signals as we found them. Its
 * status would be 127 (not found) or 126 by the customs of the shell: then that is returned. */
int service_start_command(
	struct service *service, char **argv, const struct name_space *space, struct error *err);

/*
 * Does upkeep until a signal, the last request, an error or the command's end; its exit status. Signals
 * are passed on to a command, whose status is ours; it outlives the last request, and is asked to
 * end (SIGTERM) when the service cannot go on.
 */
int service_run(struct service *service, struct error *err);

/* Ends the serving, if it has not ended. */
void service_stop(struct service *service);
