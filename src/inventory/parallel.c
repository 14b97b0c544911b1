#include "inventory/parallel.h"

#include "base/process.h"

#include <pthread.h>
#include <stdatomic.h>

/* A thread more pays for itself with that many items of a few system calls each. */
#define ITEMS_A_THREAD 1024
#define THREADS_MAX    8
#define ITEMS_A_TURN   64

struct round {
	parallel_work *work;
	void *context;
	size_t count;
	atomic_size_t next;
};

static void *take_turns(void *context)
{
	struct round *round = context;
	size_t start;

	while ((start = atomic_fetch_add(&round->next, ITEMS_A_TURN)) < round->count)
		round->work(round->context, start,
			round->count - start > ITEMS_A_TURN ? start + ITEMS_A_TURN : round->count);
	return NULL;
}

void parallel_do(size_t count, parallel_work *work, void *context)
{
	struct round round = {.work = work, .context = context, .count = count};
	pthread_t helpers[THREADS_MAX - 1];
	size_t processors = process_cpus(), wanted = count / ITEMS_A_THREAD, started = 0;

	if (wanted >= processors)
		wanted = processors - 1;
	while (started < wanted && started < THREADS_MAX - 1 &&
		pthread_create(&helpers[started], NULL, take_turns, &round) == 0)
		started++;
	take_turns(&round);
	while (started)
		pthread_join(helpers[--started], NULL);
}
