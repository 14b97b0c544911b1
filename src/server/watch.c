#include "server/watch.h"

#include "base/cleanup.h"
#include "server/change_flag.h"
#include "server/file_system.h"
#include "server/files.h"
#include "server/mount_table.h"
#include "server/shard_name.h"
#include "server/watched.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the queue, in one look: some 5000 events. */
#define READS_MAX 64

#define EVENT_SIZE_MAX (sizeof(struct inotify_event) + 6 * NAME_MAX + 16) /* of FAT, in UTF-8 */

/* Not what is written to files in it: those that are relied on are watched themselves, and others may
 * be written to all the time. */
#define FOLDER_EVENTS                                                                       \
	(IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | \
		IN_MOVE_SELF)

/* By its name in the folder or by any other. */
#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE)

struct watch {
	int root;
	bool local;
	bool used_up;               /* inotify gave no watch, for want of one */
	struct mount_table *mounts; /* NULL: there are none below */
	uint64_t mounts_seen;
	uint64_t everything;
	struct watched watched;
	struct dependents dependents;
};

int watch_new(int root, struct watch **ret, struct error *err)
{
	struct watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return error_os(err, ENOMEM, "cannot watch the served folder");
	watch->root = root;
	watch->local = file_system_local(root);
	watched_init(&watch->watched, inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	*ret = watch;
	return STATUS_OK;
}

void watch_set_mounts(struct watch *watch, struct mount_table *mounts)
{
	watch->mounts = mounts;
	watch->mounts_seen = mount_table_generation(mounts);
}

struct watch *watch_free(struct watch *watch)
{
	if (!watch)
		return NULL;
	watched_release(&watch->watched);
	dependents_release(&watch->dependents);
	free(watch);
	return NULL;
}

int watch_descriptor(const struct watch *watch)
{
	return watch->watched.inotify;
}

/* Nothing is believed that was known before. */
static void distrust_all(struct watch *watch)
{
	watch->everything++;
	dependents_hit_all(&watch->dependents);
}

/*
 * A folder that moves, comes or goes takes everything below it along, and what was watched below
 * it may stand for another path by now: all is watched anew when it is next asked for.
 */
static void distrust(struct watch *watch)
{
	distrust_all(watch);
	watched_folders_forget(&watch->watched);
}

void watch_look_at_mounts(struct watch *watch)
{
	uint64_t seen = watch->mounts_seen;

	if (watch->mounts)
		watch->mounts_seen = mount_table_generation(watch->mounts);
	if (watch->mounts_seen != seen)
		distrust(watch);
}

static void file_changed(struct watch *watch, int descriptor, uint32_t event)
{
	struct watched_file *file = watched_file_find(&watch->watched, descriptor);

	if (!file)
		return;
	file->changes++;
	file->closes += !!(event & IN_CLOSE_WRITE);
	dependents_hit(&watch->dependents, dependents_file(descriptor));
	if (file->folder == EVERYWHERE)
		watch->everything++;
	else
		watched_folder_changed(&watch->watched, file->folder, false);
	if (event & IN_IGNORED)
		watched_file_gone(&watch->watched, file);
}

/* By its name, and by the name without extension, under which it may be asked for, too. */
static void name_changed(struct watch *watch, const struct inotify_event *event)
{
	size_t length = event->len ? strlen(event->name) : 0;
	const char *dot = length ? strrchr(event->name, '.') : NULL;

	dependents_hit(&watch->dependents, dependents_folder(event->wd));
	dependents_hit(&watch->dependents, dependents_name(event->wd, event->name, length));
	if (dot)
		dependents_hit(&watch->dependents,
			dependents_name(event->wd, event->name, (size_t)(dot - event->name)));
}

static void take_event(struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & (IN_Q_OVERFLOW | IN_ISDIR | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		distrust(watch);
	else if (watched_folder_changed(&watch->watched, event->wd, event->mask & IN_IGNORED))
		name_changed(watch, event);
	else
		file_changed(watch, event->wd, event->mask);
}

void watch_update(struct watch *watch)
{
	_Alignas(struct inotify_event) char buffer[4096];
	unsigned reads = 0;
	ssize_t size;

	if (watch->watched.inotify < 0)
		return;
	while ((size = read(watch->watched.inotify, buffer, sizeof buffer)) > 0) {
		for (char *at = buffer; at < buffer + size;) {
			const struct inotify_event *event =
				(const struct inotify_event *)(void *)at;

			take_event(watch, event);
			at += sizeof *event + event->len;
		}
		/* There was room for one more: that was all. */
		if (sizeof buffer - (size_t)size >= EVENT_SIZE_MAX)
			break;
		/* One who writes faster than we read must not hold us up: nothing is believed. */
		if (++reads == READS_MAX) {
			distrust_all(watch);
			break;
		}
	}
}

void watch_glance(struct watch *watch, struct change_flag *flag)
{
	if (flag && change_flag_clear(flag))
		return;
	watch_update(watch);
	if (flag)
		change_flag_arm(flag);
}

static int open_folder(const struct watch *watch, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

	if (watch->mounts)
		return mount_table_open_folder(watch->mounts, path);
	return (int)syscall(SYS_openat2, watch->root, *path ? path : ".", &how, sizeof how);
}

/* What the descriptor leads to; -1 if it cannot be watched. */
static int add_watch(struct watch *watch, int fd, uint32_t events)
{
	char self[32];
	int descriptor;

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	descriptor = inotify_add_watch(watch->watched.inotify, self, events);
	if (descriptor < 0 && errno == ENOSPC)
		watch->used_up = true;
	return descriptor;
}

bool watch_used_up(const struct watch *watch)
{
	return watch->used_up;
}

/* NULL with errno if it cannot be watched. */
static struct watched_folder *add_folder(struct watch *watch, const char *path)
{
	AUTO_CLOSE int fd = open_folder(watch, path);
	int descriptor;

	if (fd < 0 || !file_system_local(fd))
		return NULL;
	descriptor = add_watch(watch, fd, FOLDER_EVENTS | IN_ONLYDIR);
	if (descriptor < 0)
		return NULL;
	return watched_folder_add(&watch->watched, path, descriptor, file_system_folds(fd));
}

/* Whether inotify may tell what happens to that name. */
static bool may_watch(const struct watch *watch, const char *path)
{
	return watch->watched.inotify >= 0 && watch->local && files_name_plain(path);
}

/* Of the folder of path[0..length). */
static size_t folder_length(const char *path, size_t length)
{
	while (length && path[length - 1] != '/')
		length--;
	return length ? length - 1 : 0;
}

bool watch_knows_folder(struct watch *watch, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!may_watch(watch, path) ||
		watched_folder_find(&watch->watched, path, slash ? (size_t)(slash - path) : 0))
		return true;
	for (size_t at = 0; (at = shard_name_part(path, at));)
		if (watched_folder_find(&watch->watched, path, folder_length(path, at)))
			return true;
	return false;
}

struct watch_token watch_folder_of(struct watch *watch, const char *path)
{
	char name[PATH_MAX];
	struct watched_folder *folder = NULL, *above;

	if (!may_watch(watch, path))
		return (struct watch_token){0};
	watch_look_at_mounts(watch);
	/* From the root down: "", "a", "a/b" for a/b/c.png. */
	for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
		size_t length = (size_t)(slash - path);

		if (length >= sizeof name)
			return (struct watch_token){0};
		above = folder;
		folder = watched_folder_find(&watch->watched, path, length);
		if (!folder) {
			memcpy(name, path, length);
			name[length] = '\0';
			folder = add_folder(watch, name);
		}
		/* It is a shard, as far as a name tells: all behind it is in that file. */
		if (!folder && errno == ENOTDIR && shard_name_ends(path, length)) {
			folder = above;
			break;
		}
		if (!folder)
			return (struct watch_token){0};
	}
	watch_update(watch);
	if (!folder->path)
		return (struct watch_token){0};
	return (struct watch_token){.folder = folder,
		.generation = folder->generation,
		.everything = watch->everything};
}

void watch_file(struct watch *watch, struct resolved *file, struct watch_token *token)
{
	int descriptor, folder = NOWHERE;

	watch_look_at_mounts(watch);
	/* What is known of the file, under another name too, is to be true: nobody has read the
	 * events, if the folder is not watched. */
	if (!token->folder)
		watch_update(watch);
	if (!file->watchable)
		token->folder = NULL;
	/* With another tree it may be another folder. */
	if (file->copied || watch->watched.inotify < 0 ||
		(token->folder && token->everything != watch->everything))
		return;
	if (token->folder)
		folder = token->folder->descriptor;
	descriptor = add_watch(watch, file->fd, FILE_EVENTS);
	if (descriptor >= 0)
		file->watched = watched_file_add(&watch->watched, descriptor, folder);
	if (descriptor >= 0 && !file->watched)
		inotify_rm_watch(watch->watched.inotify, descriptor);
	watch_hold(file->watched);
	/* What was done through another name before it was watched shows in its status. */
	if (!file->watched || !files_one_name(file->fd, &file->key))
		token->folder = NULL;
}

uint64_t watch_closes(const struct watched_file *file)
{
	return file ? file->closes : 0;
}

uint64_t watch_changes(const struct watched_file *file)
{
	return file ? file->changes : 0;
}

void watch_hold(struct watched_file *file)
{
	if (file)
		file->users++;
}

void watch_drop(struct watch *watch, struct watched_file *file)
{
	if (file && !--file->users)
		watched_file_free(&watch->watched, file);
}

void watch_on_change(struct watch *watch, dependents_changed *changed, void *context)
{
	watch->dependents.changed = changed;
	watch->dependents.context = context;
}

void watch_track(struct watch *watch, struct dependent *dependent, const struct watch_token *token,
	const struct watched_file *file, const char *name)
{
	const struct watched_folder *folder = token->folder;
	size_t length;

	watch_untrack(watch, dependent);
	dependent->changed = false;
	if (!file || file->descriptor < 0 || !watch_same(watch, token))
		return;
	length = strlen(folder->path);
	name += length ? length + 1 : 0;
	dependents_add(&watch->dependents, dependent,
		folder->folds ? dependents_folder(folder->descriptor)
			      : dependents_name(folder->descriptor, name, strcspn(name, "/")),
		dependents_file(file->descriptor));
}

void watch_untrack(struct watch *watch, struct dependent *dependent)
{
	if (watch)
		dependents_remove(&watch->dependents, dependent);
}

bool watch_same(const struct watch *watch, const struct watch_token *token)
{
	return token->folder && token->everything == watch->everything &&
	       token->generation == token->folder->generation;
}
