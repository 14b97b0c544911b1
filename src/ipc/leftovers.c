#include "ipc/leftovers.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void leftovers_release(struct leftovers *leftovers)
{
	free(leftovers->items);
	*leftovers = (struct leftovers){0};
}

int leftovers_find(const struct name_space *space, struct leftovers *ret, struct error *err)
{
	AUTO_CLOSEDIR DIR *directory = opendir(SHM_DIRECTORY);
	AUTO_LEFTOVERS struct leftovers found = {0};
	size_t room = 0;

	if (!directory)
		return error_os(err, errno, "cannot read %s", SHM_DIRECTORY);
	for (struct dirent *entry; (entry = readdir(directory));) {
		struct leftover one = {0};
		struct name_space its;

		if (!object_file_parse(entry->d_name, &its, &one.kind, &one.index) ||
			strcmp(its.text, space->text) != 0 ||
			fstatat(dirfd(directory), entry->d_name, &one.status,
				AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (found.count == room) {
			struct leftover *more;

			room = room ? 2 * room : 16;
			more = reallocarray(found.items, room, sizeof *more);
			if (!more)
				return error_os(err, ENOMEM, "cannot list %s", SHM_DIRECTORY);
			found.items = more;
		}
		object_file(space, one.kind, one.index, one.file);
		found.items[found.count++] = one;
	}
	*ret = found;
	found = (struct leftovers){0};
	return STATUS_OK;
}

bool leftovers_head_is(const struct leftovers *leftovers, const struct stat *file)
{
	for (size_t i = 0; i < leftovers->count; i++)
		if (leftovers->items[i].kind == OBJECT_HEAD)
			return leftovers->items[i].status.st_dev == file->st_dev &&
			       leftovers->items[i].status.st_ino == file->st_ino;
	return false;
}

bool leftover_remains(const struct leftover *leftover)
{
	char path[sizeof SHM_DIRECTORY + OBJECT_FILE_SIZE];
	struct stat now;

	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY, leftover->file);
	return lstat(path, &now) == 0 && now.st_dev == leftover->status.st_dev &&
	       now.st_ino == leftover->status.st_ino;
}
