#include "server/thread_word.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the kernel walks when the thread ends: a list of one. Shared, for of a process that runs out
 * of memory the kernel may throw away what is private before it does so. */
struct thread_word {
	struct robust_list_head head;
	struct robust_list entry;
	_Atomic uint32_t *word;
};

static void *map_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

struct thread_word *thread_word_take(_Atomic uint32_t *word)
{
	struct thread_word *taken = map_shared(sizeof *taken);

	if (!taken)
		return NULL;
	taken->word = word;
	taken->head.list.next = &taken->entry;
	taken->head.futex_offset = (long)((intptr_t)word - (intptr_t)&taken->entry);
	taken->entry.next = &taken->head.list;
	if (syscall(SYS_set_robust_list, &taken->head, sizeof taken->head) != 0)
		return thread_word_free(taken);
	/* Release: a thread that sees the number may rely on all that was done before. */
	atomic_store_explicit(word, (uint32_t)gettid(), memory_order_release);
	return taken;
}

struct thread_word *thread_word_leave(struct thread_word *taken)
{
	if (!taken)
		return NULL;
	atomic_store(taken->word, 0);
	syscall(SYS_set_robust_list, NULL, sizeof taken->head);
	return thread_word_free(taken);
}

struct thread_word *thread_word_free(struct thread_word *taken)
{
	if (taken)
		munmap(taken, sizeof *taken);
	return NULL;
}

/* ---- whether it works ---- */

struct trial {
	_Atomic uint32_t word;
	struct thread_word *taken;
	bool seen;
};

static void *take_and_end(void *context)
{
	struct trial *trial = context;

	trial->taken = thread_word_take(&trial->word);
	trial->seen = atomic_load(&trial->word) & FUTEX_TID_MASK;
	return NULL;
}

bool thread_word_works(void)
{
	struct trial *trial = map_shared(sizeof *trial);
	pthread_t thread;
	bool works;

	if (!trial)
		return false;
	works = !pthread_create(&thread, NULL, take_and_end, trial) &&
		!pthread_join(thread, NULL) && trial->seen &&
		!(atomic_load(&trial->word) & FUTEX_TID_MASK);
	thread_word_free(trial->taken);
	munmap(trial, sizeof *trial);
	return works;
}
