/*
 * Who and where we are, without asking the kernel each time.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* What getpid() says, at the cost of a load; right in children of fork(), too. Any thread. */
pid_t process_id(void);

/* CPUs that this process may run on. */
unsigned process_cpus(void);

/* Bytes of a page of memory. */
static inline size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}
