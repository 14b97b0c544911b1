/*
 * What a pid tells, and when it tells anything.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define COMMAND_SIZE 16 /* TASK_COMM_LEN, its terminator included */

/* The name of a process, "?" if there is none. */
const char *process_command(pid_t pid, char command[COMMAND_SIZE]);

/* Whether that process has ended: there is none, or only a zombie that nobody has reaped. */
bool process_has_ended(pid_t pid);

/* Whether pids of every process of the machine mean something here: /proc is that of the first PID
 * namespace, and so are we. */
bool pids_are_global(void);
