/*
 * The system calls that are left to a decoder: the list, each with its reason, and the seccomp
 * filter made of it.
 */
#pragma once

#include "server/sandbox.h"

#include <stdbool.h>

/* Whether this build and this kernel have seccomp filters. */
bool syscalls_available(void);

/* Leaves the calls of the profile, with the arguments that it needs. 0 or an errno. */
int syscalls_restrict(const struct sandbox *how);
