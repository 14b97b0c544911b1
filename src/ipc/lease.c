#include "ipc/lease.h"

#include "base/cleanup.h"
#include "ipc/header.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

int lease_open(const char *file, dev_t device, ino_t inode)
{
	struct stat status;
	AUTO_CLOSE int fd = object_open(file, O_RDONLY, &status);

	if (fd < 0)
		return -1;
	if (status.st_dev != device || status.st_ino != inode) {
		errno = ESTALE;
		return -1;
	}
	/* Who opens the file now makes the kernel send a signal: one that does nothing. */
	if (fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return -1;
	return steal_fd(&fd);
}
