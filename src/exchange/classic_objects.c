#include "exchange/classic_objects.h"

#include "base/number.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t classic_wait_end(uint64_t deadline)
{
	uint64_t end = deadline_after(CLASSIC_WAIT_NS);

	return end < deadline ? end : deadline;
}

static bool names(const struct name_space *space, enum object_kind kind, struct file_id id)
{
	char file[OBJECT_FILE_SIZE];

	return shm_file_is(object_file(space, kind, 0, file), id);
}

static int examine(
	const struct name_space *space, enum object_kind kind, struct stat *ret, struct error *err)
{
	char name[OBJECT_NAME_SIZE], file[OBJECT_FILE_SIZE];

	object_name(space, kind, 0, name);
	if (shm_file_look(object_file(space, kind, 0, file), ret) != 0)
		return error_os(err, errno, "cannot open '%s'", name);
	if (!S_ISREG(ret->st_mode))
		return error_set(err, STATUS_NOT_PERMITTED,
			"'%s' is neither a segment nor a semaphore", name);
	if (ret->st_uid != 0 && ret->st_uid != geteuid())
		return error_set(err, STATUS_NOT_PERMITTED, "'%s' belongs to another user (uid %u)",
			name, ret->st_uid);
	return STATUS_OK;
}

static int replaced(const char *name, struct error *err)
{
	return error_set(err, STATUS_NOT_FOUND, "'%s' was replaced while we opened it", name);
}

static void close_semaphore(struct classic_semaphore *semaphore)
{
	guard_remove(semaphore->guard);
	if (semaphore->handle)
		semaphore_close(semaphore->handle);
	*semaphore = CLASSIC_SEMAPHORE_NONE;
}

static bool semaphore_current(const struct name_space *space, enum object_kind kind,
	const struct classic_semaphore *semaphore)
{
	return !guard_hit(semaphore->guard) && names(space, kind, semaphore->id);
}

int classic_semaphore_open(const struct name_space *space, enum object_kind kind,
	struct classic_semaphore *ret, struct error *err)
{
	struct classic_semaphore semaphore = CLASSIC_SEMAPHORE_NONE;
	char name[OBJECT_NAME_SIZE];
	struct stat found;
	int status;

	status = examine(space, kind, &found, err);
	if (!status)
		status = semaphore_open(object_name(space, kind, 0, name), &semaphore.handle, err);
	if (status)
		return status;
	/* semaphore_open() does not tell what it opened. The same name before and after does. */
	semaphore.id = file_id_of(&found);
	semaphore.guard = guard_add(semaphore.handle, (size_t)sysconf(_SC_PAGESIZE));
	if (!semaphore_current(space, kind, &semaphore)) {
		close_semaphore(&semaphore);
		return replaced(name, err);
	}
	*ret = semaphore;
	return STATUS_OK;
}

int classic_segment_open(const struct name_space *space, enum object_kind kind, size_t reserve,
	struct segment *ret, struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	char name[OBJECT_NAME_SIZE];
	struct stat found;
	int status;

	status = examine(space, kind, &found, err);
	if (!status)
		status = segment_open(
			object_name(space, kind, 0, name), true, reserve, &segment, err);
	if (status)
		return status;
	if (!file_id_equal(segment.id, file_id_of(&found))) {
		segment_release(&segment);
		return replaced(name, err);
	}
	*ret = segment;
	return STATUS_OK;
}

void classic_close(struct classic_objects *objects)
{
	close_semaphore(&objects->request);
	close_semaphore(&objects->response);
	segment_release(&objects->head);
	segment_release(&objects->data);
}

bool classic_semaphores_current(const struct classic_objects *objects)
{
	return semaphore_current(&objects->space, OBJECT_REQUEST, &objects->request) &&
	       semaphore_current(&objects->space, OBJECT_RESPONSE, &objects->response);
}

bool classic_segments_current(const struct classic_objects *objects)
{
	const struct segment *head = &objects->head, *data = &objects->data;

	return names(&objects->space, OBJECT_HEAD, head->id) &&
	       names(&objects->space, OBJECT_DATA, data->id);
}

int classic_reserve(struct segment *segment, uint64_t bytes, struct error *err)
{
	struct stat now;

	if (fstat(segment->fd, &now) != 0)
		return error_os(err, errno, "cannot examine a segment");
	segment->size = (size_t)now.st_size;
	/* A peer that grows by ftruncate() leaves holes, which are room that nobody has reserved.
	 */
	if (segment->size >= bytes && (uint64_t)now.st_blocks * 512 >= bytes)
		return STATUS_OK;
	return segment_grow(segment, bytes, err);
}

int classic_check(const struct classic_geometry *geometry, uint64_t room, struct error *err)
{
	uint64_t bytes = 0;

	if (geometry->channels < 1 || geometry->channels > 4 || !geometry->width ||
		!geometry->height || !size_multiply(geometry->width, geometry->height, &bytes) ||
		!size_multiply(bytes, geometry->channels, &bytes) || bytes != geometry->bytes)
		return error_set(err, STATUS_BAD_DATA,
			"%ju bytes do not fit an image of %ju x %ju with %ju channels",
			(uintmax_t)geometry->bytes, (uintmax_t)geometry->width,
			(uintmax_t)geometry->height, (uintmax_t)geometry->channels);
	if (bytes > room)
		return error_set(err, STATUS_BAD_DATA,
			"an image of %ju bytes is more than the %ju that are there or allowed",
			(uintmax_t)bytes, (uintmax_t)room);
	return STATUS_OK;
}
