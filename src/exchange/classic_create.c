#include "exchange/classic_objects.h"

#include "exchange/head_report.h"
#include "exchange/reclaim.h"
#include "exchange/wire.h"
#include "shm/lock.h"
#include "shm/semaphore.h"

#include <errno.h>

/* Opens the semaphore if there is one, by any program, else makes it. */
static int get_semaphore(const struct name_space *space, enum object_kind kind,
	const struct access *access, struct classic_semaphore *ret, struct error *err)
{
	char name[OBJECT_NAME_SIZE];
	int status;

	object_name(space, kind, 0, name);
	/* The peer may make or unlink it between two of our calls, but not for ever. */
	for (int attempt = 0; attempt < 10; attempt++) {
		struct error failed = {0};
		struct file_id id;

		status = classic_semaphore_open(space, kind, ret, err);
		if (status != STATUS_NOT_FOUND)
			return status;
		status = semaphore_create(name, access, &id, &failed);
		if (status && failed.os_error != EEXIST)
			return error_set(err, status, "%s", failed.text);
	}
	return error_set(err, STATUS_TRY_AGAIN, "'%s' keeps being replaced", name);
}

/* Unlinks what an earlier requester left under the name, unless it lives and is one of ours. */
static int remove_stale(const struct name_space *space, enum object_kind kind, struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	char file[OBJECT_FILE_SIZE];
	int status, failed;
	bool held;

	status = classic_segment_open(space, kind, 0, &segment, err);
	if (status)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	object_file(space, kind, 0, file);
	held = lock_held(segment.fd, WIRE_SERVER_LOCK, 1) == 1;
	failed = held ? 0 : shm_file_remove(file, segment.id);
	segment_release(&segment);
	if (held)
		return error_set(err, STATUS_TRY_AGAIN,
			"a server or another requester has the namespace '%s'; choose another",
			space->text);
	if (failed && failed != ENOENT)
		return error_os(err, failed, "cannot remove '%s'", file);
	return STATUS_OK;
}

/* What a dead server of ours left is more than a classic namespace has names for. */
static int remove_dead_server(const struct name_space *space, struct error *err)
{
	struct segment head = SEGMENT_NONE;
	struct head_report report = {0};
	int status = classic_segment_open(space, OBJECT_HEAD, 0, &head, err);

	if (status)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	if (head_report_read(head.fd, &report) != 0)
		status = error_os(err, errno, "cannot read the header of '%s'", space->text);
	segment_release(&head);
	if (status || !report.native)
		return status;
	return reclaim_namespace(space, NULL, err);
}

static int create_segment(const struct name_space *space, enum object_kind kind,
	const struct access *access, struct segment *ret, struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	char name[OBJECT_NAME_SIZE];
	int status, failed = 0;

	status = segment_new(1, 0, access, &segment, err);
	if (status)
		return status;
	/* As a server holds it: we live, nobody is to clean up after us. */
	if (kind == OBJECT_HEAD)
		failed = lock_take(segment.fd, WIRE_SERVER_LOCK);
	if (failed)
		status = error_os(err, failed, "cannot lock a segment");
	else
		status = segment_publish(&segment, object_name(space, kind, 0, name), err);
	if (status)
		segment_release(&segment);
	else
		*ret = segment;
	return status;
}

static int create_head(
	struct classic_objects *objects, const struct access *access, struct error *err)
{
	const struct name_space *space = &objects->space;
	int status = remove_dead_server(space, err);

	if (status)
		return status;
	status = remove_stale(space, OBJECT_HEAD, err);
	if (status)
		return status;
	status = remove_stale(space, OBJECT_DATA, err);
	return status ? status : create_segment(space, OBJECT_HEAD, access, &objects->head, err);
}

/*
 * HEAD first: the process that has its lock has the namespace. DATA last: a responder that waits for
 * both segments must not find stale counts.
 */
int classic_create(struct classic_objects *objects, const struct access *access, struct error *err)
{
	const struct name_space *space = &objects->space;
	int status = create_head(objects, access, err);

	if (status)
		return status;
	status = get_semaphore(space, OBJECT_REQUEST, access, &objects->request, err);
	if (status)
		return status;
	status = get_semaphore(space, OBJECT_RESPONSE, access, &objects->response, err);
	if (status)
		return status;
	semaphore_drain(objects->request.handle, CLASSIC_STALE_MAX);
	semaphore_drain(objects->response.handle, CLASSIC_STALE_MAX);
	return create_segment(space, OBJECT_DATA, access, &objects->data, err);
}

static void unlink_object(const struct name_space *space, enum object_kind kind, struct file_id id)
{
	char file[OBJECT_FILE_SIZE];

	/* Inode 0 means nothing: what was never made is left alone. */
	shm_file_unlink(object_file(space, kind, 0, file), id);
}

void classic_unlink(const struct classic_objects *objects)
{
	const struct name_space *space = &objects->space;

	unlink_object(space, OBJECT_REQUEST, objects->request.id);
	unlink_object(space, OBJECT_RESPONSE, objects->response.id);
	unlink_object(space, OBJECT_DATA, objects->data.id);
	unlink_object(space, OBJECT_HEAD, objects->head.id);
}
