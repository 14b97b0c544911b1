/*
 * Who we are, without asking the kernel each time.
 */
#pragma once

#include <sys/types.h>

/* What getpid() says, at the cost of a load; right in children of fork(), too. Any thread. */
pid_t process_id(void);

/* CPUs that this process may run on. */
unsigned process_cpus(void);
