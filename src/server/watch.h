/*
 * Which folders changed: inotify, and a generation number for each folder that goes up with every
 * event in it. A folder tells of its names; files that are relied on are watched themselves, for what
 * is written to them, by whatever name.
 *
 * Used under the store's lock. Writes through a shared mapping or by io_submit(2) give no event of
 * their own (inotify(7)); they show when the writer closes the file.
 */
#pragma once

#include "base/error.h"
#include "server/dependents.h"

#include <stdbool.h>
#include <stdint.h>

struct mount_table;
struct watch;
struct change_flag;
struct watched_file;
struct watched_folder;
struct resolved;

/* A file's standing at the moment it was looked at; valid for as long as watch_same says so. */
struct watch_token {
	const struct watched_folder *folder; /* NULL: not watched */
	uint64_t generation;                 /* of that folder */
	uint64_t everything;                 /* of the tree's shape: folders moved, events lost */
};

/* Watches below `root`, a descriptor that stays the caller's. Without inotify every token says "not
 * watched". */
int watch_new(int root, struct watch **ret, struct error *err);
struct watch *watch_free(struct watch *watch);

/* How folders are opened, and when they may be others than before. What cannot be opened so is not
 * watched. */
void watch_set_mounts(struct watch *watch, struct mount_table *mounts);

/* The descriptor that events are read from; -1 without inotify. */
int watch_descriptor(const struct watch *watch);

/* Whether the user's limit of watches has left something unwatched. */
bool watch_used_up(const struct watch *watch);

/* Takes in what happened since the last call: one system call while nothing has. */
void watch_update(struct watch *watch);

/* The same, without one while nothing has; `flag` is that of watch_descriptor, or NULL. */
void watch_glance(struct watch *watch, struct change_flag *flag);

/* Believes nothing that was known if other file systems are mounted below the folder than before. */
void watch_look_at_mounts(struct watch *watch);

/*
 * Watches the folder of `path` and all above it; of a path into a tar shard, the folder of the shard. To be called, and the token kept, before the file
 * is opened: what happens after that shows. A token without a folder where watching is not possible.
 */
struct watch_token watch_folder_of(struct watch *watch, const char *path);

/* Whether that would watch no more folders than are watched already. */
bool watch_knows_folder(struct watch *watch, const char *path);

/*
 * Watches the file that was opened after the token was made, until watch_drop(file->watched). Where
 * that cannot be relied on, the token becomes one without a folder; watch_closes counts there, too.
 */
void watch_file(struct watch *watch, struct resolved *file, struct watch_token *token);

/* How often a program closed it that had it open for writing; 0 for NULL. What such a program wrote
 * through a mapping need not show in the file's status. */
uint64_t watch_closes(const struct watched_file *file);

/* How often anything was seen to happen to it, closing included; 0 for NULL. */
uint64_t watch_changes(const struct watched_file *file);

/* One user more or less of the watch; NULL is ignored. */
void watch_hold(struct watched_file *file);
void watch_drop(struct watch *watch, struct watched_file *file);

/*
 * Has `changed` told of each dependent that watch_track took up when something happens to what it
 * relies on, as watch_update takes it in.
 */
void watch_on_change(struct watch *watch, dependents_changed *changed, void *context);

/*
 * From now on the dependent relies on the file that was opened after the token was made, and on that
 * name (a path, in the folder of the token) leading to it. It is tracked only if nothing happened since, as far
 * as that is known: what happens from the token on is told, be it that it is taken in later.
 */
void watch_track(struct watch *watch, struct dependent *dependent, const struct watch_token *token,
	const struct watched_file *file, const char *name);
void watch_untrack(struct watch *watch, struct dependent *dependent);

/* Whether nothing happened in that folder, or above it, since the token was made. */
bool watch_same(const struct watch *watch, const struct watch_token *token);
