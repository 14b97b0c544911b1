/*
 * The process that makes helpers (helper.h), as the server sees it: a fork for each socket that it
 * is sent. The server itself has descriptors and mappings that no helper is to have.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct helper_maker {
	pid_t process; /* 0: there is none */
	int socket;    /* to it */
};

/* Starts it, for helpers that read below `folder`; `allow_degraded` as in sandbox.h. */
int helper_maker_start(
	struct helper_maker *maker, int folder, bool allow_degraded, struct error *err);

/* A new helper: a socket to it, which is the caller's; -1 if none can be made now. */
int helper_maker_fork(const struct helper_maker *maker);

/* Whether the process has ended; it is nobody's then. */
bool helper_maker_ended(struct helper_maker *maker);

/* Ends it, and all helpers with it, without waiting for those. */
void helper_maker_stop(struct helper_maker *maker);
