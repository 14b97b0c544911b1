#include "exchange/published.h"

#include "exchange/life.h"
#include "shm/guard.h"

#include <stdlib.h>

bool published_init(struct published_list *list, size_t room)
{
	*list = (struct published_list){.objects = calloc(room, sizeof *list->objects)};
	return list->objects;
}

void published_release(struct published_list *list)
{
	free(list->objects);
	*list = (struct published_list){0};
}

void published_add(struct published_list *list, const struct name_space *space,
	enum object_kind kind, unsigned index, struct file_id id, void *base, size_t size)
{
	struct published *object = &list->objects[list->count++];

	*object = (struct published){
		.kind = kind, .index = index, .id = id, .guard = base ? guard_add(base, size) : -1};
	object_file(space, kind, index, object->file);
}

int published_segment(struct published_list *list, const struct name_space *space,
	struct segment *segment, enum object_kind kind, unsigned index, bool guarded,
	struct error *err)
{
	int failed = life_take(&segment->fd, segment), status;
	char name[OBJECT_NAME_SIZE];

	object_name(space, kind, index, name);
	if (failed)
		return error_os(err, failed, "cannot lock '%s'", name + 1);
	status = segment_publish(segment, name, err);
	if (status)
		return status;
	published_add(list, space, kind, index, segment->id, guarded ? segment->base : NULL,
		segment->reserved);
	return STATUS_OK;
}

int published_check(const struct published *object, struct stat *ret_status, struct error *err)
{
	if (shm_file_look(object->file, ret_status) == 0 &&
		file_id_equal(file_id_of(ret_status), object->id))
		return STATUS_OK;
	return error_set(err, STATUS_UNAVAILABLE,
		"somebody removed '%s' from %s; if logind did at a logout, see RemoveIPC "
		"in logind.conf(5)",
		object->file, SHM_DIRECTORY);
}

bool published_damaged(const struct published_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		if (guard_hit(list->objects[i].guard))
			return true;
	return false;
}

/* What has the name by now, after a successor took over, is not ours. */
static void take_back(struct published *object)
{
	shm_file_unlink(object->file, object->id);
	guard_remove(object->guard);
}

void published_unlink_kind(struct published_list *list, enum object_kind kind)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < list->count; i++)
		if (list->objects[i].kind == kind)
			take_back(&list->objects[i]);
		else
			list->objects[kept++] = list->objects[i];
	list->count = kept;
}

void published_unlink(struct published_list *list)
{
	while (list->count)
		take_back(&list->objects[--list->count]);
}
