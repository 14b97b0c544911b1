#include "server/watch.h"

#include "base/cleanup.h"
#include "server/change_flag.h"
#include "server/files.h"

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

#define EVENTS                                                                         \
	(IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | \
		IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF)

/* What a folder does not tell of a file in it: links made, and what is done through them. */
#define FILE_EVENTS  (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE)
#define FILE_BUCKETS 4096
/* The kernel's numbers for watches count up, and none is used twice. */
#define EVERYWHERE (-1)

struct folder {
	char *path; /* "" for the root; NULL: gone */
	int descriptor;
	bool folds; /* a name in it may be spelled in several ways */
	uint64_t generation;
};

struct watched_file {
	struct watched_file *chain;
	int descriptor;
	int folder; /* descriptor of the one it is known in; EVERYWHERE: in several */
	size_t users;
	uint64_t closes; /* by programs that had it open for writing */
};

struct watch {
	int root, inotify;
	bool local;
	uint64_t rules; /* of openat2(2), for folders */
	uint64_t everything;
	struct folder *folders; /* [0] is unused: a token's 0 means none */
	uint32_t count, room;
	struct watched_file *files[FILE_BUCKETS]; /* by descriptor */
	struct dependents dependents;
};

int watch_new(int root, struct watch **ret, struct error *err)
{
	struct watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return error_os(err, ENOMEM, "cannot watch the served folder");
	watch->root = root;
	watch->local = files_local(root);
	watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch->count = 1;
	*ret = watch;
	return STATUS_OK;
}

void watch_set_rules(struct watch *watch, uint64_t resolve)
{
	watch->rules = resolve;
}

struct watch *watch_free(struct watch *watch)
{
	if (!watch)
		return NULL;
	for (uint32_t i = 1; i < watch->count; i++)
		free(watch->folders[i].path);
	free(watch->folders);
	if (watch->inotify >= 0)
		close(watch->inotify);
	dependents_release(&watch->dependents);
	free(watch);
	return NULL;
}

int watch_descriptor(const struct watch *watch)
{
	return watch->inotify;
}

static void forget_folder(struct watch *watch, struct folder *folder)
{
	if (!folder->path)
		return;
	inotify_rm_watch(watch->inotify, folder->descriptor);
	free(folder->path);
	folder->path = NULL;
	folder->descriptor = -1;
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
static void tree_changed(struct watch *watch)
{
	distrust_all(watch);
	for (uint32_t i = 1; i < watch->count; i++)
		forget_folder(watch, &watch->folders[i]);
}

/* A folder that is mounted at two places has two rows and one descriptor. False: it has none. */
static bool folder_changed(struct watch *watch, int descriptor, bool gone)
{
	bool found = false;

	for (uint32_t i = 1; i < watch->count; i++) {
		struct folder *folder = &watch->folders[i];

		if (folder->descriptor != descriptor)
			continue;
		found = true;
		folder->generation++;
		if (gone)
			forget_folder(watch, folder);
	}
	return found;
}

/* Where the file with that descriptor is, or where it belongs. */
static struct watched_file **find_file(struct watch *watch, int descriptor)
{
	struct watched_file **at = &watch->files[(unsigned)descriptor % FILE_BUCKETS];

	while (*at && (*at)->descriptor != descriptor)
		at = &(*at)->chain;
	return at;
}

static void file_changed(struct watch *watch, int descriptor, uint32_t event)
{
	struct watched_file **at = find_file(watch, descriptor), *file = *at;

	if (!file)
		return;
	file->closes += !!(event & IN_CLOSE_WRITE);
	dependents_hit(&watch->dependents, descriptor, DEPENDENCY_FILE);
	if (file->folder == EVERYWHERE)
		watch->everything++;
	else
		folder_changed(watch, file->folder, false);
	if (event & IN_IGNORED) {
		*at = file->chain;
		file->descriptor = -1;
	}
}

/* By its name, and by the name without extension, under which it may be asked for, too. */
static void name_changed(struct watch *watch, const struct inotify_event *event)
{
	size_t length = event->len ? strlen(event->name) : 0;
	const char *dot = length ? strrchr(event->name, '.') : NULL;

	dependents_hit(&watch->dependents, event->wd, DEPENDENCY_FOLDER);
	dependents_hit(&watch->dependents, event->wd, dependents_hash(event->name, length));
	if (dot)
		dependents_hit(&watch->dependents, event->wd,
			dependents_hash(event->name, (size_t)(dot - event->name)));
}

static void take_event(struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & (IN_Q_OVERFLOW | IN_ISDIR | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		tree_changed(watch);
	else if (folder_changed(watch, event->wd, event->mask & IN_IGNORED))
		name_changed(watch, event);
	else
		file_changed(watch, event->wd, event->mask);
}

void watch_update(struct watch *watch)
{
	_Alignas(struct inotify_event) char buffer[4096];
	unsigned reads = 0;
	ssize_t size;

	if (watch->inotify < 0)
		return;
	while ((size = read(watch->inotify, buffer, sizeof buffer)) > 0) {
		for (char *at = buffer; at < buffer + size;) {
			const struct inotify_event *event =
				(const struct inotify_event *)(void *)at;

			take_event(watch, event);
			at += sizeof *event + event->len;
		}
		/* One who writes faster than we read must not hold us up: nothing is believed. */
		if (++reads == READS_MAX) {
			distrust_all(watch);
			break;
		}
	}
}

void watch_glance(struct watch *watch, struct readiness *readiness)
{
	if (readiness && change_flag_clear(readiness))
		return;
	watch_update(watch);
	if (readiness)
		change_flag_arm(readiness);
}

static uint32_t find_folder(const struct watch *watch, const char *path, size_t length)
{
	for (uint32_t i = 1; i < watch->count; i++) {
		const char *known = watch->folders[i].path;

		if (known && strlen(known) == length && !memcmp(known, path, length))
			return i;
	}
	return 0;
}

/* A row for a new folder: a free one, or one more. */
static uint32_t folder_row(struct watch *watch)
{
	for (uint32_t i = 1; i < watch->count; i++)
		if (!watch->folders[i].path)
			return i;
	if (watch->count >= watch->room) {
		uint32_t room = watch->room ? 2 * watch->room : 16;
		struct folder *folders = realloc(watch->folders, room * sizeof *folders);

		if (!folders)
			return 0;
		memset(folders + watch->room, 0, (room - watch->room) * sizeof *folders);
		watch->folders = folders;
		watch->room = room;
	}
	return watch->count++;
}

static uint32_t add_folder(struct watch *watch, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | watch->rules};
	AUTO_CLOSE int fd = (int)syscall(
		SYS_openat2, watch->root, *path ? path : ".", &how, sizeof how);
	char self[32], *copy;
	int descriptor;
	uint32_t row;

	if (fd < 0 || !files_local(fd))
		return 0;
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	descriptor = inotify_add_watch(watch->inotify, self, EVENTS | IN_ONLYDIR);
	if (descriptor < 0)
		return 0;
	copy = strdup(path);
	row = copy ? folder_row(watch) : 0;
	if (!row) {
		free(copy);
		return 0;
	}
	watch->folders[row].path = copy;
	watch->folders[row].descriptor = descriptor;
	watch->folders[row].folds = files_fold(fd);
	watch->folders[row].generation++;
	return row;
}

struct watch_token watch_folder_of(struct watch *watch, const char *path)
{
	char folder[PATH_MAX];
	uint32_t row = 0;

	if (watch->inotify < 0 || !watch->local || !files_name_plain(path))
		return (struct watch_token){0};
	/* From the root down: "", "a", "a/b" for a/b/c.png. */
	for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
		size_t length = (size_t)(slash - path);

		if (length >= sizeof folder)
			return (struct watch_token){0};
		row = find_folder(watch, path, length);
		if (!row) {
			memcpy(folder, path, length);
			folder[length] = '\0';
			row = add_folder(watch, folder);
		}
		if (!row)
			return (struct watch_token){0};
	}
	watch_update(watch);
	if (!watch->folders[row].path)
		return (struct watch_token){0};
	return (struct watch_token){.folder = row,
		.generation = watch->folders[row].generation,
		.everything = watch->everything};
}

static bool folder_known(const struct watch *watch, int descriptor)
{
	for (uint32_t i = 1; i < watch->count; i++)
		if (watch->folders[i].path && watch->folders[i].descriptor == descriptor)
			return true;
	return false;
}

/* The file with that descriptor, known to be in that folder; NULL when out of memory. */
static struct watched_file *know_file(struct watch *watch, int descriptor, int folder)
{
	struct watched_file **at = find_file(watch, descriptor), *file = *at;

	if (!file) {
		file = calloc(1, sizeof *file);
		if (!file)
			return NULL;
		*file = (struct watched_file){.descriptor = descriptor, .folder = folder};
		*at = file;
	}
	if (file->folder != folder && file->folder != EVERYWHERE)
		file->folder = folder_known(watch, file->folder) ? EVERYWHERE : folder;
	return file;
}

void watch_file(struct watch *watch, struct resolved *file, struct watch_token *token)
{
	char self[32];
	int descriptor;

	if (!file->watchable)
		token->folder = 0;
	/* With another tree the row may be that of another folder. */
	if (!token->folder || token->everything != watch->everything)
		return;
	snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
	descriptor = inotify_add_watch(watch->inotify, self, FILE_EVENTS);
	if (descriptor >= 0)
		file->watched = know_file(
			watch, descriptor, watch->folders[token->folder].descriptor);
	if (descriptor >= 0 && !file->watched)
		inotify_rm_watch(watch->inotify, descriptor);
	watch_hold(file->watched);
	/* What was done through another name before it was watched shows in its status. */
	if (!file->watched || !files_one_name(file->fd, &file->key))
		token->folder = 0;
}

uint64_t watch_closes(const struct watched_file *file)
{
	return file ? file->closes : 0;
}

void watch_hold(struct watched_file *file)
{
	if (file)
		file->users++;
}

void watch_drop(struct watch *watch, struct watched_file *file)
{
	if (!file || --file->users)
		return;
	if (file->descriptor >= 0) {
		inotify_rm_watch(watch->inotify, file->descriptor);
		*find_file(watch, file->descriptor) = file->chain;
	}
	free(file);
}

void watch_on_change(struct watch *watch, dependents_changed *changed, void *context)
{
	watch->dependents.changed = changed;
	watch->dependents.context = context;
}

void watch_track(struct watch *watch, struct dependent *dependent, const struct watch_token *token,
	const struct watched_file *file, const char *name)
{
	const struct folder *folder = &watch->folders[token->folder];

	watch_untrack(watch, dependent);
	dependent->changed = false;
	if (file && file->descriptor >= 0 && watch_same(watch, token))
		dependents_add(&watch->dependents, dependent, folder->descriptor,
			folder->folds ? DEPENDENCY_FOLDER : dependents_hash(name, strlen(name)),
			file->descriptor);
}

void watch_untrack(struct watch *watch, struct dependent *dependent)
{
	if (watch)
		dependents_remove(&watch->dependents, dependent);
}

bool watch_same(const struct watch *watch, const struct watch_token *token)
{
	return token->folder && token->everything == watch->everything &&
	       token->generation == watch->folders[token->folder].generation;
}
