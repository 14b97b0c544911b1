#include "server/watched.h"

#include "server/dependents.h"

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

static uint32_t *bucket_of_path(struct watched *watched, const char *path, size_t length)
{
	return &watched->by_path[dependents_hash(path, length) % WATCHED_BUCKETS];
}

static uint32_t *bucket_of_descriptor(struct watched *watched, int descriptor)
{
	return &watched->by_descriptor[(unsigned)descriptor % WATCHED_BUCKETS];
}

uint32_t watched_folder_find(struct watched *watched, const char *path, size_t length)
{
	uint32_t row = *bucket_of_path(watched, path, length);

	while (row && (strncmp(watched->folders[row].path, path, length) != 0 ||
			      watched->folders[row].path[length]))
		row = watched->folders[row].next_by_path;
	return row;
}

/* A row for a new folder: a free one, or one more; 0 when out of memory. */
static uint32_t take_row(struct watched *watched)
{
	uint32_t row = watched->free_row;

	if (row) {
		watched->free_row = watched->folders[row].next_by_path;
		return row;
	}
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
	uint32_t row = copy ? take_row(watched) : 0, *by_path, *by_descriptor;
	struct watched_folder *folder;

	if (!row) {
		free(copy);
		return 0;
	}
	by_path = bucket_of_path(watched, path, strlen(path));
	by_descriptor = bucket_of_descriptor(watched, descriptor);
	folder = &watched->folders[row];
	*folder = (struct watched_folder){.path = copy,
		.descriptor = descriptor,
		.folds = folds,
		.generation = folder->generation + 1,
		.next_by_path = *by_path,
		.next_by_descriptor = *by_descriptor};
	*by_path = *by_descriptor = row;
	return row;
}

bool watched_folder_known(struct watched *watched, int descriptor)
{
	uint32_t row = *bucket_of_descriptor(watched, descriptor);

	while (row && watched->folders[row].descriptor != descriptor)
		row = watched->folders[row].next_by_descriptor;
	return row;
}

static void forget(struct watched *watched, uint32_t row)
{
	struct watched_folder *folder = &watched->folders[row];
	uint32_t *at;

	if (!folder->path)
		return;
	inotify_rm_watch(watched->inotify, folder->descriptor);
	at = bucket_of_path(watched, folder->path, strlen(folder->path));
	while (*at != row)
		at = &watched->folders[*at].next_by_path;
	*at = folder->next_by_path;
	at = bucket_of_descriptor(watched, folder->descriptor);
	while (*at != row)
		at = &watched->folders[*at].next_by_descriptor;
	*at = folder->next_by_descriptor;
	free(folder->path);
	folder->path = NULL;
	folder->next_by_path = watched->free_row;
	watched->free_row = row;
}

/* A folder that is mounted at two places has two rows and one descriptor. */
bool watched_folder_changed(struct watched *watched, int descriptor, bool gone)
{
	uint32_t row = *bucket_of_descriptor(watched, descriptor), next;
	bool found = false;

	for (; row; row = next) {
		struct watched_folder *folder = &watched->folders[row];

		next = folder->next_by_descriptor;
		if (folder->descriptor != descriptor)
			continue;
		found = true;
		folder->generation++;
		if (gone)
			forget(watched, row);
	}
	return found;
}

void watched_folders_forget(struct watched *watched)
{
	for (uint32_t i = 1; i < watched->count; i++)
		forget(watched, i);
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
	if (folder != NOWHERE && folder != file->folder && file->folder != EVERYWHERE)
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
