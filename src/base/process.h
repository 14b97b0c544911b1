/*
 * Who and where we are, without asking the kernel each time.
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* Leads to our pid, in a page that the kernel wipes in every child (MADV_WIPEONFORK), or to 0. */
extern _Atomic(_Atomic pid_t *) process_known;

/* Asks the kernel, and keeps it where process_known leads. */
__attribute__((cold)) pid_t process_id_ask(void);

/* What getpid() says, at the cost of two loads; right in children of fork(), too. Any thread. */
static inline pid_t process_id(void)
{
	/* Acquire: the page is there. */
	pid_t pid = atomic_load_explicit(
		atomic_load_explicit(&process_known, memory_order_acquire), memory_order_relaxed);

	return pid ? pid : process_id_ask();
}

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
