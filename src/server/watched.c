#include "server/watched.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

void watched_init(struct watched *watched, int inotify)
{
	*watched = (struct watched){.inotify = inotify};
}

void watched_release(struct watched *watched)
{
	for (struct watched_folder *folder = watched->folders, *next; folder; folder = next) {
		next = folder->next;
		free(folder->path);
		free(folder);
	}
	hash_table_release(&watched->folders_by_path);
	hash_table_release(&watched->folders_by_descriptor);
	hash_table_release(&watched->files);
	if (watched->inotify >= 0)
		close(watched->inotify);
}

/* ---- folders ---- */

struct watched_folder *watched_folder_find(
	const struct watched *watched, const char *path, size_t length)
{
	struct hash_table_link *at = hash_table_first(
		&watched->folders_by_path, hash_keyed(path, length));

	for (; at; at = hash_table_next(at)) {
		struct watched_folder *folder = HASH_TABLE_ITEM(at, struct watched_folder, by_path);

		if (strncmp(folder->path, path, length) == 0 && !folder->path[length])
			return folder;
	}
	return NULL;
}

/* One that is gone, or a new one; NULL when out of memory. */
static struct watched_folder *take_folder(struct watched *watched)
{
	struct watched_folder *folder = watched->free_folders;

	if (folder) {
		watched->free_folders = folder->next_free;
		return folder;
	}
	folder = calloc(1, sizeof *folder);
	if (!folder)
		return NULL;
	folder->next = watched->folders;
	watched->folders = folder;
	return folder;
}

struct watched_folder *watched_folder_add(
	struct watched *watched, const char *path, int descriptor, bool folds)
{
	char *copy = strdup(path);
	struct watched_folder *folder = copy ? take_folder(watched) : NULL;

	if (!folder) {
		free(copy);
		return NULL;
	}
	folder->path = copy;
	folder->descriptor = descriptor;
	folder->folds = folds;
	folder->generation++;
	hash_table_add(&watched->folders_by_path, &folder->by_path, hash_keyed(path, strlen(path)));
	hash_table_add(
		&watched->folders_by_descriptor, &folder->by_descriptor, (unsigned)descriptor);
	return folder;
}

bool watched_folder_known(const struct watched *watched, int descriptor)
{
	return hash_table_first(&watched->folders_by_descriptor, (unsigned)descriptor);
}

static void forget(struct watched *watched, struct watched_folder *folder)
{
	if (!folder->path)
		return;
	inotify_rm_watch(watched->inotify, folder->descriptor);
	hash_table_remove(&watched->folders_by_path, &folder->by_path);
	hash_table_remove(&watched->folders_by_descriptor, &folder->by_descriptor);
	free(folder->path);
	folder->path = NULL;
	folder->next_free = watched->free_folders;
	watched->free_folders = folder;
}

/* A folder that is mounted at two places is there twice, with one descriptor. */
bool watched_folder_changed(struct watched *watched, int descriptor, bool gone)
{
	struct hash_table_link *at = hash_table_first(
		&watched->folders_by_descriptor, (unsigned)descriptor);
	bool found = at;

	while (at) {
		struct watched_folder *folder = HASH_TABLE_ITEM(
			at, struct watched_folder, by_descriptor);

		at = hash_table_next(at);
		folder->generation++;
		if (gone)
			forget(watched, folder);
	}
	return found;
}

void watched_folders_forget(struct watched *watched)
{
	for (struct watched_folder *at = watched->folders; at; at = at->next)
		forget(watched, at);
}

/* ---- files ---- */

struct watched_file *watched_file_find(const struct watched *watched, int descriptor)
{
	struct hash_table_link *link = hash_table_first(&watched->files, (unsigned)descriptor);

	return link ? HASH_TABLE_ITEM(link, struct watched_file, by_descriptor) : NULL;
}

struct watched_file *watched_file_add(struct watched *watched, int descriptor, int folder)
{
	struct watched_file *file = watched_file_find(watched, descriptor);

	if (!file) {
		file = calloc(1, sizeof *file);
		if (!file)
			return NULL;
		*file = (struct watched_file){.descriptor = descriptor, .folder = folder};
		hash_table_add(&watched->files, &file->by_descriptor, (unsigned)descriptor);
	}
	if (folder != NOWHERE && folder != file->folder && file->folder != EVERYWHERE)
		file->folder = watched_folder_known(watched, file->folder) ? EVERYWHERE : folder;
	return file;
}

void watched_file_gone(struct watched *watched, struct watched_file *file)
{
	hash_table_remove(&watched->files, &file->by_descriptor);
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
