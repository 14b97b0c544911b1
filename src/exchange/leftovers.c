#include "exchange/leftovers.h"

#include "base/grow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

void leftovers_release(struct leftovers *leftovers)
{
	free(leftovers->items);
	*leftovers = (struct leftovers){0};
}

/* What leftovers_find collects. */
struct search {
	const struct name_space *space;
	struct leftovers found;
	size_t room;
};

static int note_leftover(void *context, int directory, const struct dirent *entry)
{
	const char *file = entry->d_name;
	struct search *search = context;
	struct leftovers *found = &search->found;
	struct leftover one = {0}, *more;
	struct name_space its;

	if (!object_file_parse(file, &its, &one.kind, &one.index) ||
		strcmp(its.text, search->space->text) != 0 ||
		fstatat(directory, file, &one.status, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	more = grow(found->items, found->count, &search->room, sizeof *more);
	if (!more)
		return ENOMEM;
	found->items = more;
	object_file(search->space, one.kind, one.index, one.file);
	found->items[found->count++] = one;
	return 0;
}

int leftovers_find(const struct name_space *space, struct leftovers *ret, struct error *err)
{
	struct search search = {.space = space};
	int failed = shm_file_walk(AT_FDCWD, SHM_DIRECTORY, note_leftover, &search);

	if (failed) {
		leftovers_release(&search.found);
		return error_os(err, failed < 0 ? errno : failed, "cannot list %s", SHM_DIRECTORY);
	}
	*ret = search.found;
	return STATUS_OK;
}

bool leftovers_head_is(const struct leftovers *leftovers, struct file_id id)
{
	for (size_t i = 0; i < leftovers->count; i++)
		if (leftovers->items[i].kind == OBJECT_HEAD)
			return file_id_equal(file_id_of(&leftovers->items[i].status), id);
	return false;
}
