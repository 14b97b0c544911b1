#include "shm/segment.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "shm/names.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int segment_full(uint64_t needed, struct error *err)
{
	char need[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE];
	struct statvfs system = {0};

	statvfs(SHM_DIRECTORY, &system);
	if (system.f_files && !system.f_favail)
		return error_set_os(err, STATUS_TRY_AGAIN, ENOSPC,
			"%s has no inodes left: %llu files are in it; 'shmsem list -a' shows them, "
			"'shmsem cleanup' removes what crashed programs left, mount -o "
			"remount,nr_inodes=… has more",
			SHM_DIRECTORY, (unsigned long long)system.f_files);
	return error_set_os(err, STATUS_TRY_AGAIN, ENOSPC,
		"%s is full: %s needed, %s free; 'shmsem cleanup' removes what crashed programs "
		"left, a container gets more with --shm-size, a host with mount -o remount,size=…",
		SHM_DIRECTORY, format_size(needed, need),
		format_size((uint64_t)system.f_bavail * system.f_bsize, have));
}

int object_open_failed(int os_error, const char *name, struct error *err)
{
	if (os_error == ELOOP)
		return error_set(err, STATUS_NOT_PERMITTED,
			"'%s' is a symbolic link, which is never followed", name);
	return error_os(err, os_error, "cannot open '%s'", name);
}

int segment_map_error(int os_error, uint64_t bytes, const char *name, struct error *err)
{
	char need[SIZE_TEXT_SIZE], most[SIZE_TEXT_SIZE];
	struct rlimit limit;

	format_size(bytes, need);
	if (os_error != ENOMEM || getrlimit(RLIMIT_AS, &limit) != 0 ||
		limit.rlim_cur == RLIM_INFINITY)
		return error_os(err, os_error, "cannot map %s of %s", need, name);
	return error_os(err, os_error,
		"cannot map %s of %s in a process that 'ulimit -v' (RLIMIT_AS) limits to %s", need,
		name, format_size(limit.rlim_cur, most));
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
		return segment_map_error(errno, reserve, name, err);
	segment->base = base;
	segment->reserved = reserve;
	return STATUS_OK;
}

int segment_new(size_t size, size_t reserve, const struct access *access, struct segment *ret,
	struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	struct stat file;
	int status;

	segment.fd = shm_file_unnamed(access);
	if (segment.fd < 0)
		return errno == ENOSPC ? segment_full(size, err)
				       : error_os(err, errno, "cannot create a segment in %s",
						 SHM_DIRECTORY);
	if (fstat(segment.fd, &file) != 0) {
		segment_release(&segment);
		return error_os(err, errno, "cannot examine the new segment");
	}
	segment.id = file_id_of(&file);
	segment.owner = file.st_uid;
	status = segment_map(&segment, PROT_READ | PROT_WRITE, reserve, "the new segment", err);
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
	int failed = shm_file_link(segment->fd, name + 1);

	if (!failed)
		return STATUS_OK;
	if (failed == ENOSPC)
		return segment_full(segment->size, err);
	return error_os_as(err, failed == EEXIST ? STATUS_TRY_AGAIN : error_status_of(failed),
		failed, "cannot create '%s'", name);
}

int segment_open(
	const char *name, bool writable, size_t reserve, struct segment *ret, struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	struct stat file;
	int status;

	segment.fd = shm_file_open(name + 1, writable ? O_RDWR : O_RDONLY, &file);
	if (segment.fd < 0 && errno == EINVAL)
		return error_set(
			err, STATUS_NOT_PERMITTED, "'%s' is not a shared-memory segment", name);
	if (segment.fd < 0)
		return object_open_failed(errno, name, err);
	segment.id = file_id_of(&file);
	segment.owner = file.st_uid;
	segment.size = (size_t)file.st_size;
	status = segment_map(&segment, writable ? PROT_READ | PROT_WRITE : PROT_READ,
		reserve ? reserve : segment.size, name, err);
	if (status) {
		segment_release(&segment);
		return status;
	}
	*ret = segment;
	return STATUS_OK;
}

bool segment_truncated(const struct segment *segment)
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

/* To those who could make room it is the same as a full /dev/shm. */
static int segment_limited(uint64_t needed, struct error *err)
{
	char need[SIZE_TEXT_SIZE];

	return error_set_os(err, STATUS_TRY_AGAIN, ENOSPC,
		"a segment of %s is larger than a file may be here (RLIMIT_FSIZE, 'ulimit -f')",
		format_size(needed, need));
}

int segment_back(struct segment *segment, uint64_t offset, uint64_t length, struct error *err)
{
	uint64_t end = offset + length;
	int failed = segment_reserve(segment, offset, length);

	if (failed == EFBIG)
		return segment_limited(end, err);
	if (failed == ENOSPC)
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
