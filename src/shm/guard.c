#include "shm/guard.h"

#include "shm/fork.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard_range guard_ranges[GUARD_RANGES];
static _Atomic size_t ranges_used; /* rows at or above it were never used */
static struct sigaction previous;
static bool installed;
static uintptr_t page_mask;

static struct guard_range *find_range(uintptr_t address)
{
	size_t used = atomic_load(&ranges_used);

	for (size_t i = 0; i < used; i++)
		if (address < atomic_load(&guard_ranges[i].end) &&
			address >= atomic_load(&guard_ranges[i].base))
			return &guard_ranges[i];
	return NULL;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(number, info, context);
	} else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
		/* The faulting instruction runs again and ends the process as it would have without
		 * us. */
		signal(number, SIG_DFL);
	} else {
		previous.sa_handler(number);
	}
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	uintptr_t page = (uintptr_t)info->si_addr & page_mask;
	struct guard_range *range = info->si_code > 0 ? find_range((uintptr_t)info->si_addr) : NULL;

	if (range) {
		uintptr_t end = atomic_load(&range->end);

		atomic_store(&range->hit, true);
		if (end > page && mmap((void *)page, end - page, PROT_READ | PROT_WRITE,
					  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
					  -1, 0) != MAP_FAILED) {
			errno = saved;
			return;
		}
	}
	pass_on(number, info, context);
	errno = saved;
}

int guard_install(struct error *err)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	int status = STATUS_OK;

	sigemptyset(&action.sa_mask);
	fork_block();
	if (!installed) {
		page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
		if (sigaction(SIGBUS, &action, &previous) == 0)
			installed = true;
		else
			status = error_os(err, errno, "cannot handle SIGBUS");
	}
	fork_unblock();
	return status;
}

int guard_add(void *base, size_t size)
{
	int found = -1;

	fork_block();
	for (size_t i = 0; i < GUARD_RANGES; i++) {
		if (atomic_load(&guard_ranges[i].end))
			continue;
		atomic_store(&guard_ranges[i].base, (uintptr_t)base);
		atomic_store(&guard_ranges[i].hit, false);
		atomic_store(&guard_ranges[i].end, (uintptr_t)base + size);
		if (i >= atomic_load(&ranges_used))
			atomic_store(&ranges_used, i + 1);
		found = (int)i;
		break;
	}
	fork_unblock();
	return found;
}

void guard_remove(int range)
{
	if (range < 0)
		return;
	fork_block();
	atomic_store(&guard_ranges[range].end, 0);
	fork_unblock();
}

void guard_clear(int range)
{
	if (range >= 0)
		atomic_store(&guard_ranges[range].hit, false);
}
