#include "shm/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct flock byte_range(short type, uint64_t offset, uint64_t length)
{
	return (struct flock){.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)offset,
		.l_len = (off_t)length};
}

int lock_take(int fd, uint64_t offset)
{
	struct flock range = byte_range(F_WRLCK, offset, 1);

	if (fcntl(fd, F_OFD_SETLK, &range) == 0)
		return 0;
	return errno == EACCES ? EAGAIN : errno;
}

int lock_drop(int fd, uint64_t offset)
{
	struct flock range = byte_range(F_UNLCK, offset, 1);

	return fcntl(fd, F_OFD_SETLK, &range) == 0 ? 0 : errno;
}

int lock_held(int fd, uint64_t offset, uint64_t length)
{
	/* A read lock conflicts with write locks only. */
	struct flock range = byte_range(F_RDLCK, offset, length);

	if (fcntl(fd, F_OFD_GETLK, &range) != 0)
		return -1;
	return range.l_type != F_UNLCK;
}
