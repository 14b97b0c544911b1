#include "inventory/lease.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "inventory/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

/* Another one who only looks at the file is gone again in an instant. */
#define TRIES 5
#define PAUSE (2 * NS_PER_MS)

void lease_prepare(void)
{
	static bool ignored;

	if (!ignored)
		signal(SIGIO, SIG_IGN);
	ignored = true;
}

int lease_of(int fd)
{
	return fcntl(fd, F_SETLEASE, F_WRLCK) == 0 ? 0 : errno;
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

	if (fd < 0)
		return -1;
	errno = lease_of(fd);
	return errno ? -1 : steal_fd(&fd);
}

int lease_open(const char *file, struct file_id id)
{
	AUTO_CLOSE int directory = open_directory();

	if (directory < 0)
		return -1;
	lease_prepare();
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
	int directory;
};

static int ask(int directory, const struct lease_query *query)
{
	AUTO_CLOSE int lease = lease_try(directory, query->file, query->id);

	return lease < 0 ? errno : 0;
}

/* Asks about those of the files that seemed to be in use so far. */
static void ask_some(void *context, size_t start, size_t end)
{
	const struct round *round = context;

	for (size_t i = start; i < end; i++)
		if (round->queries[i].error == EAGAIN)
			round->queries[i].error = ask(round->directory, &round->queries[i]);
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

	lease_prepare();
	for (size_t i = 0; i < count; i++)
		queries[i].error = failed;
	for (unsigned tried = 0; tried < TRIES && any_in_use(queries, count); tried++) {
		struct round round = {.queries = queries, .directory = directory};

		if (tried)
			pause_shortly();
		parallel_do(count, ask_some, &round);
	}
}
