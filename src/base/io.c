#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

/* An offset of -1 means the file's own position. */
static ssize_t read_at(int fd, uint8_t *buffer, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = offset < 0 ? read(fd, buffer + done, size - done)
					   : pread(fd, buffer + done, size - done,
						     offset + (off_t)done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -1;
		if (count == 0)
			break;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

static int write_at(int fd, const uint8_t *buffer, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = offset < 0 ? write(fd, buffer + done, size - done)
					   : pwrite(fd, buffer + done, size - done,
						     offset + (off_t)done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -1;
		done += (size_t)count;
	}
	return 0;
}

ssize_t read_full(int fd, void *buffer, size_t size)
{
	return read_at(fd, buffer, size, -1);
}

ssize_t pread_full(int fd, void *buffer, size_t size, off_t offset)
{
	return read_at(fd, buffer, size, offset);
}

int write_full(int fd, const void *buffer, size_t size)
{
	return write_at(fd, buffer, size, -1);
}

int pwrite_full(int fd, const void *buffer, size_t size, off_t offset)
{
	return write_at(fd, buffer, size, offset);
}

int fd_above_standard(int fd)
{
	int moved, failed;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	failed = errno;
	close(fd);
	errno = failed;
	return moved;
}

void fd_fill_standard(void)
{
	/* open() returns the lowest free number: this one, as those below it are taken. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/", O_PATH);
}
