#include "base/process.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Where the pid is while there is no page: 0. */
static _Atomic pid_t unknown;
_Atomic(_Atomic pid_t *) process_known = &unknown;

static void make_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	_Atomic pid_t *none = &unknown;
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (madvise(page, size, MADV_WIPEONFORK) != 0 ||
		!atomic_compare_exchange_strong(&process_known, &none, page))
		munmap(page, size);
}

pid_t process_id_ask(void)
{
	_Atomic pid_t *page = atomic_load_explicit(&process_known, memory_order_acquire);
	pid_t pid = getpid();

	if (page == &unknown)
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
