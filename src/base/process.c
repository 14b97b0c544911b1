#include "base/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

/* A page that the kernel empties in every child (madvise(2), MADV_WIPEONFORK). */
static _Atomic uint64_t *page;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void map_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mapped == MAP_FAILED)
		return;
	if (madvise(mapped, size, MADV_WIPEONFORK) == 0)
		page = mapped;
	else
		munmap(mapped, size);
}

int process_mark_init(struct error *err)
{
	pthread_once(&once, map_page);
	if (!page)
		return error_set(err, STATUS_INTERNAL,
			"the kernel cannot wipe memory on fork (Linux 4.14 can)");
	atomic_store_explicit(page, (uint64_t)getpid(), memory_order_relaxed);
	return STATUS_OK;
}

uint64_t process_mark(void)
{
	return page ? atomic_load_explicit(page, memory_order_relaxed) : 0;
}
