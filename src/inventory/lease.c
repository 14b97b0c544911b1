#include "inventory/lease.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

/* Another one who only looks at the file is gone again in an instant. */
#define TRIES 5
#define PAUSE (2 * NS_PER_MS)

/* Four calls a file: a thread more pays for itself with that many. */
#define FILES_A_THREAD 1024
#define THREADS_MAX    8
#define FILES_A_TURN   64

/* Who opens the file while the lease is held makes the kernel send SIGIO, which ends a process. */
static void ignore_notices(void)
{
	static bool ignored;

	if (!ignored)
		signal(SIGIO, SIG_IGN);
	ignored = true;
}

static void pause_shortly(void)
{
	const struct timespec pause = clock_timespec(PAUSE);

	nanosleep(&pause, NULL);
}

static int open_directory(void)
{
	return open(SHM_DIRECTORY, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int lease_try(int directory, const char *file, struct file_id id)
{
	AUTO_CLOSE int fd = shm_file_open_again(directory, file, id);

	if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return -1;
	return steal_fd(&fd);
}

int lease_open(const char *file, struct file_id id)
{
	AUTO_CLOSE int directory = open_directory();

	if (directory < 0)
		return -1;
	ignore_notices();
	for (unsigned left = TRIES; left-- > 0;) {
		int lease = lease_try(directory, file, id);

		if (lease >= 0 || errno != EAGAIN)
			return lease;
		pause_shortly();
	}
	errno = EAGAIN;
	return -1;
}

struct round {
	struct lease_query *queries;
	size_t count;
	int directory;
	atomic_size_t next;
};

static int ask(int directory, const struct lease_query *query)
{
	AUTO_CLOSE int lease = lease_try(directory, query->file, query->id);

	return lease < 0 ? errno : 0;
}

/* Asks about those of the files that seemed to be in use so far. */
static void *work(void *context)
{
	struct round *round = context;
	size_t start;

	while ((start = atomic_fetch_add(&round->next, FILES_A_TURN)) < round->count)
		for (size_t i = start; i < round->count && i < start + FILES_A_TURN; i++)
			if (round->queries[i].error == EAGAIN)
				round->queries[i].error = ask(round->directory, &round->queries[i]);
	return NULL;
}

static void work_together(struct round *round)
{
	pthread_t helpers[THREADS_MAX - 1];
	size_t processors = process_cpus(), wanted = round->count / FILES_A_THREAD, started = 0;

	if (wanted >= processors)
		wanted = processors - 1;
	while (started < wanted && started < THREADS_MAX - 1 &&
		pthread_create(&helpers[started], NULL, work, round) == 0)
		started++;
	work(round);
	while (started)
		pthread_join(helpers[--started], NULL);
}

static bool any_in_use(const struct lease_query *queries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (queries[i].error == EAGAIN)
			return true;
	return false;
}

void lease_ask(struct lease_query *queries, size_t count)
{
	AUTO_CLOSE int directory = open_directory();
	int failed = directory < 0 ? errno : EAGAIN;

	ignore_notices();
	for (size_t i = 0; i < count; i++)
		queries[i].error = failed;
	for (unsigned tried = 0; tried < TRIES && any_in_use(queries, count); tried++) {
		struct round round = {.queries = queries, .count = count, .directory = directory};

		if (tried)
			pause_shortly();
		work_together(&round);
	}
}
