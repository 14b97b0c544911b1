#include "inventory/tally.h"

#include "inventory/known.h"

#include <sys/statvfs.h>

enum owner_class object_owner_class(const struct object *object)
{
	if (object_is_sysv(object))
		return OWNER_SYSV;
	if (object->native)
		return OWNER_SHMSEM;
	return known_program(object) ? OWNER_KNOWN : OWNER_OTHER;
}

uint64_t object_bytes(const struct object *object)
{
	if (object->type == OBJECT_SYSV_SEMAPHORES)
		return 0;
	return object_is_sysv(object) ? object->size : object->allocated;
}

static void add(struct sum *sum, const struct object *object)
{
	sum->bytes += object_bytes(object);
	sum->count++;
}

struct tally tally_of(const struct objects *objects)
{
	struct statvfs system = {0};
	struct tally tally = {0};
	uint64_t seen = 0, before;

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];

		if (object->state == OBJECT_STALE)
			add(&tally.stale[object_owner_class(object)], object);
		if (object->type == OBJECT_DELETED)
			add(&tally.deleted, object);
		if (object_is_shm(object))
			seen += object->allocated;
	}
	if (statvfs(SHM_DIRECTORY, &system) != 0)
		return tally;
	tally.limited = system.f_blocks != 0;
	tally.size = (uint64_t)system.f_blocks * system.f_frsize;
	tally.used = (uint64_t)(system.f_blocks - system.f_bfree) * system.f_frsize;
	/* What was made while we looked is not missing. */
	before = objects->used < tally.used ? objects->used : tally.used;
	tally.unaccounted = before > seen ? before - seen : 0;
	tally.inodes = system.f_files;
	tally.inodes_used = system.f_files - system.f_ffree;
	return tally;
}
