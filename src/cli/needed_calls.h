/*
 * System calls that a server cannot do without, and that containers, old kernels and seccomp profiles
 * refuse: tried before it starts, so that an image is never refused for a reason of the host.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

#define CALLS_TEXT_SIZE 160
#define CALLS_REMEDY                                                                  \
	"a seccomp profile that allows them (docker run --security-opt seccomp=..., " \
	"securityContext.seccompProfile), or a newer kernel"

/* Whether some are refused: "openat2 (Operation not permitted), ...". */
bool needed_calls_refused(char refused[CALLS_TEXT_SIZE]);

/* STATUS_NOT_PERMITTED, naming them, if some are. */
int needed_calls_check(struct error *err);
