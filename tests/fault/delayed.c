/*
 * Preloaded into a server, makes its threads late at random before they take a mutex, so that what
 * may happen between two steps of one thread does happen there.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define LATE_ONCE_IN 4
#define LATE_NS      3000000

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static int (*real)(pthread_mutex_t *);
	static _Thread_local uint32_t chance = 1;

	if (!real) {
		void *symbol = dlsym(RTLD_NEXT, "pthread_mutex_lock");

		memcpy(&real, &symbol, sizeof real);
	}
	chance = chance * 1664525 + 1013904223;
	if ((chance >> 16) % LATE_ONCE_IN == 0) {
		const struct timespec late = {.tv_nsec = LATE_NS};

		nanosleep(&late, NULL);
	}
	return real(mutex);
}
