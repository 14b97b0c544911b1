#include "base/process.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* A page that the kernel wipes in every child (MADV_WIPEONFORK), with our pid in it. */
static _Atomic(_Atomic pid_t *) known;

static void make_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	_Atomic pid_t *none = NULL;
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (madvise(page, size, MADV_WIPEONFORK) != 0 ||
		!atomic_compare_exchange_strong(&known, &none, page))
		munmap(page, size);
}

pid_t process_id(void)
{
	_Atomic pid_t *page = atomic_load_explicit(&known, memory_order_acquire);
	pid_t pid = page ? atomic_load_explicit(page, memory_order_relaxed) : 0;

	if (pid)
		return pid;
	pid = getpid();
	if (!page)
		make_page();
	else
		atomic_store(page, pid);
	return pid;
}

unsigned process_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

void process_block_signals(sigset_t *ret_before)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, ret_before);
}
