#include "inventory/objects.h"

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *object_type_text(enum object_type type)
{
	static const char *const texts[] = {
		[OBJECT_SEGMENT] = "segment",
		[OBJECT_SEMAPHORE] = "semaphore",
		[OBJECT_FILE] = "file",
		[OBJECT_OTHER] = "other",
		[OBJECT_MOUNT] = "mount",
		[OBJECT_DELETED] = "deleted",
		[OBJECT_MEMFD] = "memfd",
		[OBJECT_UNACCOUNTED] = "unaccounted",
		[OBJECT_SYSV_SEGMENT] = "sysv-segment",
		[OBJECT_SYSV_SEMAPHORES] = "sysv-semaphores",
		[OBJECT_SYSV_QUEUE] = "sysv-queue",
	};

	return texts[type];
}

const char *object_state_text(enum object_state state)
{
	return state == OBJECT_LIVE ? "live" : state == OBJECT_STALE ? "stale" : "unknown";
}

struct object *objects_add(struct objects *objects)
{
	struct object *more = grow(objects->items, objects->count, &objects->room, sizeof *more);

	if (!more)
		return NULL;
	objects->items = more;
	objects->items[objects->count] = (struct object){.attached = -1, .lease = -1};
	return &objects->items[objects->count++];
}

void object_release(struct object *object)
{
	free(object->name);
	free(object->space);
	free(object->why);
	*object = (struct object){0};
}

void objects_release(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		object_release(&objects->items[i]);
	free(objects->items);
	*objects = OBJECTS_NONE;
}

int64_t object_semaphore_value(const struct object *object)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(object->name, O_RDONLY, &status);
	uint32_t words[sizeof(sem_t) / sizeof(uint32_t)];

	if (fd < 0 || pread_full(fd, words, sizeof words, 0) != (ssize_t)sizeof words)
		return -1;
	/* glibc, nptl: the value is the low half of a 64-bit word, the waiters the high one; where
	 * words have 32 bits, the lowest bit says whether somebody waits. */
	if (sizeof(void *) == 4)
		return words[0] >> 1;
	return words[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__];
}

static bool add_nameless(struct objects *objects, const struct nameless *nameless)
{
	struct object *object = objects_add(objects);

	if (!object)
		return false;
	if (asprintf(&object->name, "%s%s", nameless->memfd ? "memfd:" : "", nameless->name) < 0) {
		object->name = NULL;
		return false;
	}
	object->type = nameless->memfd ? OBJECT_MEMFD : OBJECT_DELETED;
	object->file = nameless->file;
	object->size = nameless->size;
	object->allocated = nameless->allocated;
	object->uid = nameless->uid;
	object->gid = nameless->gid;
	object->mode = nameless->mode;
	object->changed = nameless->changed;
	return true;
}

int objects_add_nameless(struct objects *objects, const struct holders *holders, struct error *err)
{
	for (size_t i = 0; i < holders->nameless_count; i++) {
		const struct nameless *nameless = &holders->nameless[i];
		char name[NAME_MAX + sizeof " (deleted)"];

		/* A file whose name ends like that is there still. */
		snprintf(name, sizeof name, "%.*s (deleted)", NAME_MAX, nameless->name);
		if (!nameless->memfd && !nameless->measured && shm_file_is(name, nameless->file))
			continue;
		if (!add_nameless(objects, nameless))
			return error_os(err, ENOMEM, "cannot list the deleted files");
	}
	return STATUS_OK;
}
