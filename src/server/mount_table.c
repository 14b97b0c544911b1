#include "server/mount_table.h"

#include "base/cleanup.h"
#include "base/mountinfo.h"
#include "server/file_system.h"
#include "server/mounts_below.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct mount_table {
	pthread_mutex_t lock;
	uint64_t generation;
	int folder, changes; /* the folder; MOUNTINFO, for poll(2); -1 */
	char path[PATH_MAX]; /* of the folder */
	int own;             /* its mount */
	bool blocks;         /* that may block */
	uint64_t rules;
	struct mounts_below below;
};

/* Where a name is: below which descriptor, under what name there, opened by which rules. */
struct place {
	int folder;
	bool opened; /* the descriptor is to be closed */
	const char *rest;
	uint64_t rules;
};

/* All mounts, as they are now. */
static int look(struct mount_table *mounts)
{
	struct mounts_below now;

	if (mounts_below_read(mounts->path, mounts->own, &now))
		return -1;
	mounts->generation += !mounts_below_same(&mounts->below, &now);
	mounts_below_release(&mounts->below);
	mounts->below = now;
	return 0;
}

static void look_again(struct mount_table *mounts)
{
	struct pollfd changes = {.fd = mounts->changes, .events = POLLPRI};

	if (poll(&changes, 1, 0) > 0)
		look(mounts);
}

/* What of the rules this kernel knows (RESOLVE_CACHED: Linux 5.12), and this file system needs:
 * tmpfs and ramfs have all there is in memory, but keep no note of names that do not exist. */
static uint64_t rules_for(int folder)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_CACHED};
	AUTO_CLOSE int fd = -1;

	if (file_system_in_memory(folder))
		return RESOLVE_NO_XDEV;
	fd = (int)syscall(SYS_openat2, folder, ".", &how, sizeof how);
	return fd < 0 ? RESOLVE_NO_XDEV : RESOLVE_NO_XDEV | RESOLVE_CACHED;
}

int mount_table_new(int folder, struct mount_table **ret, struct error *err)
{
	struct mount_table *mounts = calloc(1, sizeof *mounts);
	char self[32];

	if (!mounts)
		return error_os(err, ENOMEM, "cannot look at the mounts");
	snprintf(self, sizeof self, "/proc/self/fd/%d", folder);
	pthread_mutex_init(&mounts->lock, NULL);
	mounts->folder = folder;
	mounts->changes = open(MOUNTINFO, O_RDONLY | O_CLOEXEC);
	mounts->own = mount_of_descriptor(folder);
	if (mounts->changes < 0 || readlink(self, mounts->path, sizeof mounts->path - 1) < 0 ||
		look(mounts)) {
		int failed = errno;

		mount_table_free(mounts);
		return error_os(err, failed, "cannot read " MOUNTINFO);
	}
	mounts->blocks = mounts->below.own_listed ? !mounts->below.own_local
						  : !file_system_local(folder);
	if (!mounts->blocks)
		mounts->rules = rules_for(folder);
	*ret = mounts;
	return STATUS_OK;
}

struct mount_table *mount_table_free(struct mount_table *mounts)
{
	if (!mounts)
		return NULL;
	mounts_below_release(&mounts->below);
	if (mounts->changes >= 0)
		close(mounts->changes);
	pthread_mutex_destroy(&mounts->lock);
	free(mounts);
	return NULL;
}

bool mount_table_all_block(const struct mount_table *mounts)
{
	return mounts->blocks;
}

uint64_t mount_table_generation(struct mount_table *mounts)
{
	uint64_t generation;

	pthread_mutex_lock(&mounts->lock);
	look_again(mounts);
	generation = mounts->generation;
	pthread_mutex_unlock(&mounts->lock);
	return generation;
}

int mount_table_own(const struct mount_table *mounts)
{
	return mounts->own;
}

/* With the lock held. */
static const struct mount_below *mount_below(struct mount_table *mounts, const char *name)
{
	look_again(mounts);
	return mounts_below_find(&mounts->below, name);
}

int mount_table_of(struct mount_table *mounts, const char *name)
{
	const struct mount_below *mount;
	int id;

	pthread_mutex_lock(&mounts->lock);
	mount = mount_below(mounts, name);
	id = mount ? mount->id : mounts->own;
	pthread_mutex_unlock(&mounts->lock);
	return id;
}

bool mount_table_local(struct mount_table *mounts, const char *name)
{
	const struct mount_below *mount;
	bool local;

	pthread_mutex_lock(&mounts->lock);
	mount = mount_below(mounts, name);
	local = mount && mount->reachable && !mounts->blocks;
	pthread_mutex_unlock(&mounts->lock);
	return local;
}

/* The root of a mount, if it still is that one's. All on the way is cached: mount points are. It is
 * not kept: nobody could unmount it. */
static int open_point(const struct mount_table *mounts, const struct mount_below *mount)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_CACHED};
	AUTO_CLOSE int fd = (int)syscall(
		SYS_openat2, mounts->folder, mount->point, &how, sizeof how);

	return fd >= 0 && mount_of_descriptor(fd) == mount->id ? steal_fd(&fd) : -1;
}

/* False if the name is where the server must not go. */
static bool enter(struct mount_table *mounts, const char *name, struct place *ret)
{
	const struct mount_below *mount;
	bool may;

	*ret = (struct place){.folder = mounts->folder, .rest = name, .rules = mounts->rules};
	if (mounts->blocks)
		return false;
	pthread_mutex_lock(&mounts->lock);
	mount = mount_below(mounts, name);
	may = !mount || mount->reachable;
	if (mount && may) {
		ret->folder = open_point(mounts, mount);
		ret->opened = may = ret->folder >= 0;
		ret->rest = name + strlen(mount->point);
	}
	pthread_mutex_unlock(&mounts->lock);
	if (ret->opened)
		ret->rules = rules_for(ret->folder);
	if (ret->opened && *ret->rest)
		ret->rest++;
	return may;
}

static void leave(const struct place *place)
{
	if (place->opened)
		close(place->folder);
}

bool mount_table_resolve(struct mount_table *mounts, const char *name, struct resolved *ret,
	int *ret_status, struct error *err)
{
	struct place place;
	struct files_rules rules = {.shown = name};
	size_t before;

	ret->refused = 0;
	if (!enter(mounts, name, &place))
		return false;
	/* It is the mount's root; a file beside it may have the name with an extension. */
	if (!*place.rest) {
		leave(&place);
		return false;
	}
	rules.resolve = place.rules;
	before = (size_t)(place.rest - name);
	*ret_status = files_resolve_by(place.folder, place.rest, &rules, ret, err);
	leave(&place);
	if (before + strlen(ret->path) >= sizeof ret->path) {
		ret->refused = ENAMETOOLONG;
	} else if (before) {
		memmove(ret->path + before, ret->path, strlen(ret->path) + 1);
		memcpy(ret->path, name, before);
		ret->shard += ret->shard ? before : 0;
	}
	return !ret->refused;
}

bool mount_table_unchanged(struct mount_table *mounts, const char *path, const struct file_key *key)
{
	struct place place;
	bool same;

	if (!enter(mounts, path, &place))
		return false;
	same = files_unchanged(place.folder, place.rest, place.rules, key);
	leave(&place);
	return same;
}

int mount_table_open_folder(struct mount_table *mounts, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC};
	struct place place;
	int fd;

	if (!enter(mounts, path, &place)) {
		errno = EXDEV;
		return -1;
	}
	how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | place.rules;
	fd = (int)syscall(
		SYS_openat2, place.folder, *place.rest ? place.rest : ".", &how, sizeof how);
	leave(&place);
	return fd;
}
