#include "shm/fork.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int **hidden;
static size_t count, room;

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

bool fork_hide(int *fd, void *base, size_t size)
{
	bool done = true;

	pthread_once(&once, install);
	pthread_mutex_lock(&lock);
	if (count == room) {
		size_t more = room ? 2 * room : 8;
		int **grown = realloc(hidden, more * sizeof(*grown));

		done = grown != NULL;
		if (done) {
			hidden = grown;
			room = more;
		}
	}
	if (done)
		hidden[count++] = fd;
	pthread_mutex_unlock(&lock);
	if (done && base)
		madvise(base, size, MADV_DONTFORK);
	return done;
}

void fork_keep(const int *fd)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count; i++)
		if (hidden[i] == fd) {
			hidden[i] = hidden[--count];
			break;
		}
	pthread_mutex_unlock(&lock);
}
