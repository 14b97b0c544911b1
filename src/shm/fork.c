#include "shm/fork.h"

#include "base/grow.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int **hidden;
static size_t count, room;

/* Which thread has blocked forks, or 0; under the lock: how often, and its signals before. Variables
 * of each thread would have the library need the dynamic linker. */
static _Atomic uintptr_t blocker;
static unsigned depth;
static sigset_t signals;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	for (size_t i = 0; i < count; i++) {
		close(*hidden[i]);
		*hidden[i] = -1;
	}
	count = 0;
	pthread_mutex_unlock(&lock);
}

static void install(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

static uintptr_t this_thread(void)
{
	return (uintptr_t)pthread_self();
}

void fork_block(void)
{
	sigset_t blocked, before;

	/* Relaxed: only this thread writes its own value, and takes it back. */
	if (atomic_load_explicit(&blocker, memory_order_relaxed) == this_thread()) {
		depth++;
		return;
	}
	pthread_once(&once, install);
	/* A handler that forks would wait for us. Faults cannot be blocked. */
	sigfillset(&blocked);
	sigdelset(&blocked, SIGBUS);
	sigdelset(&blocked, SIGSEGV);
	sigdelset(&blocked, SIGFPE);
	sigdelset(&blocked, SIGILL);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	pthread_mutex_lock(&lock);
	depth = 1;
	signals = before;
	atomic_store_explicit(&blocker, this_thread(), memory_order_relaxed);
}

void fork_unblock(void)
{
	const sigset_t before = signals;

	if (--depth)
		return;
	atomic_store_explicit(&blocker, 0, memory_order_relaxed);
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool fork_hide(int *fd, void *base, size_t size)
{
	int **more;

	fork_block();
	more = grow(hidden, count, &room, sizeof *more);
	if (more) {
		hidden = more;
		hidden[count++] = fd;
		if (base)
			madvise(base, size, MADV_DONTFORK);
	}
	fork_unblock();
	return more;
}

void fork_keep(const int *fd)
{
	fork_block();
	for (size_t i = 0; i < count; i++)
		if (hidden[i] == fd) {
			hidden[i] = hidden[--count];
			break;
		}
	fork_unblock();
}
