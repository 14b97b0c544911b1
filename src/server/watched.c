#include "server/watched.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define FIRST_FOLDERS 16

void watched_init(struct watched *watched, int inotify)
{
	*watched = (struct watched){.inotify = inotify, .count = 1};
}

void watched_release(struct watched *watched)
{
	for (uint32_t i = 1; i < watched->count; i++)
		free(watched->folders[i].path);
	free(watched->folders);
	if (watched->inotify >= 0)
		close(watched->inotify);
}

/* ---- folders ---- */

uint32_t watched_folder_find(const struct watched *watched, const char *path, size_t length)
{
	for (uint32_t i = 1; i < watched->count; i++) {
		const char *known = watched->folders[i].path;

		if (known && strlen(known) == length && !memcmp(known, path, length))
			return i;
	}
	return 0;
}

/* A row for a new folder: a free one, or one more. */
static uint32_t free_row(struct watched *watched)
{
	for (uint32_t i = 1; i < watched->count; i++)
		if (!watched->folders[i].path)
			return i;
	if (watched->count >= watched->room) {
		uint32_t room = watched->room ? 2 * watched->room : FIRST_FOLDERS;
		struct watched_folder *folders = realloc(watched->folders, room * sizeof *folders);

		if (!folders)
			return 0;
		memset(folders + watched->room, 0, (room - watched->room) * sizeof *folders);
		watched->folders = folders;
		watched->room = room;
	}
	return watched->count++;
}

uint32_t watched_folder_add(struct watched *watched, const char *path, int descriptor, bool folds)
{
	char *copy = strdup(path);
	uint32_t row = copy ? free_row(watched) : 0;

	if (!row) {
		free(copy);
		return 0;
	}
	watched->folders[row].path = copy;
	watched->folders[row].descriptor = descriptor;
	watched->folders[row].folds = folds;
	watched->folders[row].generation++;
	return row;
}

bool watched_folder_known(const struct watched *watched, int descriptor)
{
	for (uint32_t i = 1; i < watched->count; i++)
		if (watched->folders[i].path && watched->folders[i].descriptor == descriptor)
			return true;
	return false;
}

static void forget(struct watched *watched, struct watched_folder *folder)
{
	if (!folder->path)
		return;
	inotify_rm_watch(watched->inotify, folder->descriptor);
	free(folder->path);
	folder->path = NULL;
	folder->descriptor = -1;
}

/* A folder that is mounted at two places has two rows and one descriptor. */
bool watched_folder_changed(struct watched *watched, int descriptor, bool gone)
{
	bool found = false;

	for (uint32_t i = 1; i < watched->count; i++) {
		struct watched_folder *folder = &watched->folders[i];

		if (folder->descriptor != descriptor)
			continue;
		found = true;
		folder->generation++;
		if (gone)
			forget(watched, folder);
	}
	return found;
}

void watched_folders_forget(struct watched *watched)
{
	for (uint32_t i = 1; i < watched->count; i++)
		forget(watched, &watched->folders[i]);
}

/* ---- files ---- */

/* Where the file with that descriptor is, or where it belongs. */
static struct watched_file **place_of(struct watched *watched, int descriptor)
{
	struct watched_file **at = &watched->files[(unsigned)descriptor % WATCHED_BUCKETS];

	while (*at && (*at)->descriptor != descriptor)
		at = &(*at)->chain;
	return at;
}

struct watched_file *watched_file_find(struct watched *watched, int descriptor)
{
	return *place_of(watched, descriptor);
}

struct watched_file *watched_file_add(struct watched *watched, int descriptor, int folder)
{
	struct watched_file **at = place_of(watched, descriptor), *file = *at;

	if (!file) {
		file = calloc(1, sizeof *file);
		if (!file)
			return NULL;
		*file = (struct watched_file){.descriptor = descriptor, .folder = folder};
		*at = file;
	}
	if (file->folder != folder && file->folder != EVERYWHERE)
		file->folder = watched_folder_known(watched, file->folder) ? EVERYWHERE : folder;
	return file;
}

void watched_file_gone(struct watched *watched, struct watched_file *file)
{
	*place_of(watched, file->descriptor) = file->chain;
	file->descriptor = -1;
}

void watched_file_free(struct watched *watched, struct watched_file *file)
{
	if (file->descriptor >= 0) {
		inotify_rm_watch(watched->inotify, file->descriptor);
		watched_file_gone(watched, file);
	}
	free(file);
}
