/*
 * Who and where we are, without asking the kernel each time.
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

/* Leads to our pid, in a page that the kernel wipes in every child (MADV_WIPEONFORK), or to 0. */
extern _Atomic(_Atomic pid_t *) process_known;

/* Asks the kernel, and keeps it where process_known leads. */
__attribute__((cold)) pid_t process_id_ask(void);

/* The same, or 0 if the kernel has to be asked. */
static inline pid_t process_id_known(void)
{
	/* Acquire: the page is there. */
	return atomic_load_explicit(
		atomic_load_explicit(&process_known, memory_order_acquire), memory_order_relaxed);
}

/* What getpid() says, at the cost of two loads; right in children of fork(), too. Any thread. */
static inline pid_t process_id(void)
{
	pid_t pid = process_id_known();

	return pid ? pid : process_id_ask();
}

/*
 * Whether this process has one thread, so that what only threads of it share needs no atomic
 * operations, which cost more than all else that is done for an image that is stored. False where the
 * C library does not tell.
 */
static inline bool process_single(void)
{
#if __has_include(<sys/single_threaded.h>)
	return __libc_single_threaded;
#else
	return false;
#endif
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
