/*
 * Who and where we are, without asking the kernel each time.
 */
#pragma once

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* What getpid() says, at the cost of a load; right in children of fork(), too. Any thread. */
pid_t process_id(void);

/* CPUs that this process may run on. */
unsigned process_cpus(void);

/*
 * Blocks signals while threads are made that must not take any: they go to the program's own
 * threads. Not SIGBUS, which is for the thread that reads a truncated segment (shm/guard.h). Then
 * set the mask to *ret_before again.
 */
void process_block_signals(sigset_t *ret_before);

/* Bytes of a page of memory. */
static inline size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}
