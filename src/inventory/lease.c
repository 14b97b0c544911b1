#include "inventory/lease.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

/* Another one who only looks at the file is gone again in an instant. */
#define TRIES 5
#define PAUSE (2 * NS_PER_MS)

/* Who opens the file while the lease is held makes the kernel send SIGIO, which ends a process. */
static void ignore_notices(void)
{
	static bool ignored;

	if (!ignored)
		signal(SIGIO, SIG_IGN);
	ignored = true;
}

static int lease_try(const char *file, struct file_id id)
{
	AUTO_CLOSE int fd = shm_file_open_again(file, id);

	if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return -1;
	return steal_fd(&fd);
}

int lease_open(const char *file, struct file_id id)
{
	const struct timespec pause = clock_timespec(PAUSE);

	ignore_notices();
	for (unsigned left = TRIES; left-- > 0;) {
		int lease = lease_try(file, id);

		if (lease >= 0 || errno != EAGAIN)
			return lease;
		nanosleep(&pause, NULL);
	}
	errno = EAGAIN;
	return -1;
}
