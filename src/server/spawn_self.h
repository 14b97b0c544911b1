/*
 * Processes of this executable in one of its hidden modes.
 */
#pragma once

#include <sys/types.h>

/* The descriptors that it starts with. */
#define SPAWN_SELF_FIRST  3
#define SPAWN_SELF_SECOND 4

/*
 * Starts the process with two descriptors and nothing else, next to no environment, no signal
 * blocked, and in a process group of its own: signals of the terminal are the server's to act on. 0,
 * or an errno.
 */
int spawn_self(char *const *arguments, int first, int second, pid_t *ret);
