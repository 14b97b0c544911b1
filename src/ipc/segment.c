#include "ipc/segment.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "ipc/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int segment_full(uint64_t needed, struct error *err)
{
	char need[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE];
	struct statvfs system = {0};

	statvfs(SHM_DIRECTORY, &system);
	error_set(err, STATUS_TRY_AGAIN,
		"%s is full: %s needed, %s free; 'shmsem cleanup' removes what crashed programs "
		"left, "
		"a container gets more with --shm-size, a host with mount -o remount,size=…",
		SHM_DIRECTORY, format_size(needed, need),
		format_size((uint64_t)system.f_bavail * system.f_bsize, have));
	if (err)
		err->os_error = ENOSPC;
	return STATUS_TRY_AGAIN;
}

int object_open_failed(int os_error, const char *name, struct error *err)
{
	if (os_error == ELOOP)
		return error_set(err, STATUS_NOT_PERMITTED,
			"'%s' is a symbolic link, which is never followed", name);
	return error_os(err, os_error, "cannot open '%s'", name);
}

int shm_unnamed(const struct access *access)
{
	AUTO_CLOSE int fd = open(SHM_DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (access->group != (gid_t)-1 && fchown(fd, (uid_t)-1, access->group) != 0)
		return -1;
	if (fchmod(fd, access->mode) != 0)
		return -1;
	return steal_fd(&fd);
}

int shm_link(int fd, const char *file)
{
	char self[32], path[sizeof SHM_DIRECTORY + OBJECT_FILE_SIZE];

	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY, file);
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	/* No /proc: the kernel lets the opener, or the privileged, link by descriptor. */
	if (errno == ENOENT && linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0)
		return 0;
	return errno;
}

int shm_unlink_same(const char *file, dev_t device, ino_t inode)
{
	char path[sizeof SHM_DIRECTORY + 256 + 1];
	struct stat status;

	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY, file);
	if (lstat(path, &status) != 0)
		return errno;
	if (status.st_dev != device || status.st_ino != inode)
		return ENOENT;
	return unlink(path) == 0 ? 0 : errno;
}

/* Fills in what fstat says and maps `reserve` bytes. */
static int segment_map(struct segment *segment, int protection, size_t reserve, const char *name,
	struct error *err)
{
	void *base;

	if (!reserve)
		return STATUS_OK;
	base = mmap(NULL, reserve, protection, MAP_SHARED | MAP_NORESERVE, segment->fd, 0);
	if (base == MAP_FAILED)
		return error_os(err, errno, "cannot map %zu bytes of '%s'", reserve, name);
	segment->base = base;
	segment->reserved = reserve;
	return STATUS_OK;
}

static int segment_identify(struct segment *segment, const char *name, struct error *err)
{
	struct stat status;

	if (fstat(segment->fd, &status) != 0)
		return error_os(err, errno, "cannot examine '%s'", name);
	if (!S_ISREG(status.st_mode))
		return error_set(
			err, STATUS_NOT_PERMITTED, "'%s' is not a shared-memory segment", name);
	segment->device = status.st_dev;
	segment->inode = status.st_ino;
	segment->size = (size_t)status.st_size;
	return STATUS_OK;
}

int segment_new(size_t size, size_t reserve, const struct access *access, struct segment *ret,
	struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	int status;

	segment.fd = shm_unnamed(access);
	if (segment.fd < 0)
		return errno == ENOSPC ? segment_full(size, err)
				       : error_os(err, errno, "cannot create a segment in %s",
						 SHM_DIRECTORY);
	status = segment_identify(&segment, "the new segment", err);
	if (!status)
		status = segment_map(
			&segment, PROT_READ | PROT_WRITE, reserve, "the new segment", err);
	if (!status)
		status = segment_grow(&segment, size, err);
	if (status) {
		segment_release(&segment);
		return status;
	}
	*ret = segment;
	return STATUS_OK;
}

int segment_publish(const struct segment *segment, const char *name, struct error *err)
{
	int failed = shm_link(segment->fd, name + 1);

	if (!failed)
		return STATUS_OK;
	if (failed == ENOSPC)
		return segment_full(segment->size, err);
	error_os(err, failed, "cannot create '%s'", name);
	if (failed == EEXIST && err)
		err->status = STATUS_TRY_AGAIN;
	return failed == EEXIST ? STATUS_TRY_AGAIN : error_status_of(failed);
}

int segment_open(
	const char *name, bool writable, size_t reserve, struct segment *ret, struct error *err)
{
	char path[sizeof SHM_DIRECTORY + OBJECT_NAME_SIZE];
	struct segment segment = SEGMENT_NONE;
	int status;

	/* shm_open would wait for the other end of a FIFO. */
	snprintf(path, sizeof path, "%s%s", SHM_DIRECTORY, name);
	segment.fd = open(
		path, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (segment.fd < 0)
		return object_open_failed(errno, name, err);
	status = segment_identify(&segment, name, err);
	if (!status)
		status = segment_map(&segment, writable ? PROT_READ | PROT_WRITE : PROT_READ,
			reserve ? reserve : segment.size, name, err);
	if (status) {
		segment_release(&segment);
		return status;
	}
	*ret = segment;
	return STATUS_OK;
}

bool segment_cut(const struct segment *segment)
{
	struct stat status;

	return fstat(segment->fd, &status) != 0 || (size_t)status.st_size < segment->size;
}

int segment_reserve(struct segment *segment, uint64_t offset, uint64_t length)
{
	int failed;

	do
		failed = posix_fallocate(segment->fd, (off_t)offset, (off_t)length);
	while (failed == EINTR);
	if (!failed && offset + length > segment->size)
		segment->size = offset + length;
	return failed;
}

int segment_back(struct segment *segment, uint64_t offset, uint64_t length, struct error *err)
{
	uint64_t end = offset + length;
	int failed = segment_reserve(segment, offset, length);

	if (failed == ENOSPC || failed == EFBIG)
		return segment_full(offset < segment->size && end > segment->size
					    ? end - segment->size
					    : length,
			err);
	if (failed)
		return error_os(err, failed, "cannot reserve %llu bytes of shared memory",
			(unsigned long long)length);
	return STATUS_OK;
}

int segment_grow(struct segment *segment, size_t size, struct error *err)
{
	uint64_t whole;

	if (!size_align(size, (uint64_t)sysconf(_SC_PAGESIZE), &whole) ||
		(segment->base && whole > segment->reserved))
		return error_set(err, STATUS_TRY_AGAIN,
			"a segment of %zu bytes is over its limit of %zu", size, segment->reserved);
	return whole ? segment_back(segment, 0, whole, err) : STATUS_OK;
}

int segment_refresh(struct segment *segment, struct error *err)
{
	struct stat status;

	if (fstat(segment->fd, &status) != 0)
		return error_os(err, errno, "cannot examine a segment");
	segment->size = (size_t)status.st_size;
	return STATUS_OK;
}

int segment_remap(struct segment *segment, int protection, struct error *err)
{
	void *base = mmap(segment->base, segment->reserved, protection,
		MAP_SHARED | MAP_NORESERVE | MAP_FIXED, segment->fd, 0);

	return base == MAP_FAILED ? error_os(err, errno, "cannot map a segment anew") : STATUS_OK;
}

void segment_release(struct segment *segment)
{
	if (segment->base)
		munmap(segment->base, segment->reserved);
	if (segment->fd >= 0)
		close(segment->fd);
	*segment = SEGMENT_NONE;
}
