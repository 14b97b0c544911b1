#include "inventory/lease.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

/* Another one who only looks at the file is gone again in an instant. */
#define TRIES 5
#define PAUSE (2 * NS_PER_MS)

static int lease_try(const char *file, struct file_id id)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(file, O_RDONLY, &status);

	if (fd < 0)
		return -1;
	if (!file_id_equal(file_id_of(&status), id)) {
		errno = ESTALE;
		return -1;
	}
	/* Who opens the file now makes the kernel send a signal: one that does nothing. */
	if (fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return -1;
	return steal_fd(&fd);
}

int lease_open(const char *file, struct file_id id)
{
	const struct timespec pause = clock_timespec(PAUSE);

	for (unsigned left = TRIES; left-- > 0;) {
		int lease = lease_try(file, id);

		if (lease >= 0 || errno != EAGAIN)
			return lease;
		nanosleep(&pause, NULL);
	}
	errno = EAGAIN;
	return -1;
}
