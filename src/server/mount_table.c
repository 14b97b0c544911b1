#include "server/mount_table.h"

#include "base/cleanup.h"

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

#define MOUNTINFO "/proc/self/mountinfo"

/* Types of file systems that wait for nothing but local disks. */
static const char *const local_types[] = {"bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3",
	"ext4", "f2fs", "iso9660", "overlay", "ramfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat",
	"xfs", "zfs"};

/* One below the folder. */
struct mount {
	int id;
	bool local;     /* its type is */
	bool reachable; /* by way of local ones only */
	char *point;    /* from the folder on */
};

struct mount_table {
	pthread_mutex_t lock;
	uint64_t generation;
	int folder, changes; /* the folder; MOUNTINFO, for poll(2); -1 */
	char path[PATH_MAX]; /* of the folder */
	int own;             /* its mount */
	bool blocks;         /* that may block */
	uint64_t rules;
	struct mount *below;
	size_t count;
};

/* Where a name is: below which descriptor, under what name there, opened by which rules. */
struct place {
	int folder;
	bool opened; /* the descriptor is to be closed */
	const char *rest;
	uint64_t rules;
};

/* The mount of an open file, asked without the file system's part; -1 if nobody can tell. */
static int mount_of_descriptor(int fd)
{
	char path[48], line[128];
	AUTO_FCLOSE FILE *file = NULL;
	int id = -1;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "mnt_id: %d", &id) == 1)
			break;
	return id;
}

static bool type_is_local(const char *type)
{
	for (size_t i = 0; i < sizeof local_types / sizeof *local_types; i++)
		if (!strcmp(type, local_types[i]))
			return true;
	return false;
}

/* Undoes \ooo, which stands for blanks and backslashes. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned octal;

		if (*from == '\\' && sscanf(from + 1, "%3o", &octal) == 1) {
			*to = (char)octal;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static void forget(struct mount *below, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(below[i].point);
	free(below);
}

/* Out of memory, a mount is not known: its files are asked for as those of an unknown one. */
static void add_below(struct mount_table *mounts, int id, bool local, const char *point)
{
	struct mount *below = realloc(mounts->below, (mounts->count + 1) * sizeof *below);
	char *copy = strdup(point);

	if (below)
		mounts->below = below;
	if (!below || !copy) {
		free(copy);
		return;
	}
	below[mounts->count++] = (struct mount){.id = id, .local = local, .point = copy};
}

static void take_line(struct mount_table *mounts, char *line)
{
	size_t length = strlen(mounts->path);
	char *point, *type, *rest = line;
	int id;

	id = atoi(line);
	for (int field = 0; field < 4; field++)
		strsep(&rest, " ");
	point = strsep(&rest, " ");
	type = rest ? strstr(rest, " - ") : NULL;
	if (!type)
		return;
	type += strlen(" - ");
	type[strcspn(type, " ")] = '\0';
	if (id == mounts->own)
		mounts->blocks = !type_is_local(type);
	unescape(point);
	if (length == 1) /* "/" */
		length = 0;
	if (!strncmp(point, mounts->path, length) && point[length] == '/' && point[length + 1])
		add_below(mounts, id, type_is_local(type), point + length + 1);
}

/* Whether a name is below a mount point, or its root; its length then. */
static size_t below_point(const char *name, const char *point)
{
	size_t length = strlen(point);

	return !strncmp(name, point, length) && (!name[length] || name[length] == '/') ? length : 0;
}

static void note_reachable(struct mount_table *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		struct mount *mount = &mounts->below[i];

		mount->reachable = !mounts->blocks && mount->local;
		for (size_t j = 0; j < mounts->count; j++)
			if (!mounts->below[j].local &&
				below_point(mount->point, mounts->below[j].point))
				mount->reachable = false;
	}
}

static bool same_mounts(const struct mount *some, size_t count, const struct mount_table *mounts)
{
	if (count != mounts->count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (some[i].id != mounts->below[i].id ||
			strcmp(some[i].point, mounts->below[i].point) != 0)
			return false;
	return true;
}

/* All mounts, as they are now. */
static int look(struct mount_table *mounts)
{
	AUTO_FCLOSE FILE *file = fopen(MOUNTINFO, "re");
	struct mount *before = mounts->below;
	AUTO_FREE char *line = NULL;
	size_t size = 0, count = mounts->count;

	if (!file)
		return -1;
	mounts->below = NULL;
	mounts->count = 0;
	while (getline(&line, &size, file) > 0)
		take_line(mounts, line);
	note_reachable(mounts);
	mounts->generation += !same_mounts(before, count, mounts);
	forget(before, count);
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

	if (files_in_memory(folder))
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
	mounts->blocks = true;
	if (mounts->changes < 0 || readlink(self, mounts->path, sizeof mounts->path - 1) < 0 ||
		look(mounts)) {
		error_os(err, errno, "cannot read " MOUNTINFO);
		mount_table_free(mounts);
		return err ? err->status : STATUS_INTERNAL;
	}
	if (!mounts->blocks)
		mounts->rules = rules_for(folder);
	*ret = mounts;
	return STATUS_OK;
}

struct mount_table *mount_table_free(struct mount_table *mounts)
{
	if (!mounts)
		return NULL;
	forget(mounts->below, mounts->count);
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

/* The mount below the folder that a name leads to, with the lock held; NULL: none, it is on the
 * folder's own. Of two mounts at one place the later one is on top. */
static const struct mount *mount_below(struct mount_table *mounts, const char *name)
{
	const struct mount *found = NULL;
	size_t longest = 1;

	look_again(mounts);
	for (size_t i = 0; i < mounts->count; i++) {
		size_t length = below_point(name, mounts->below[i].point);

		if (length < longest)
			continue;
		longest = length;
		found = &mounts->below[i];
	}
	return found;
}

int mount_table_of(struct mount_table *mounts, const char *name)
{
	const struct mount *mount;
	int id;

	pthread_mutex_lock(&mounts->lock);
	mount = mount_below(mounts, name);
	id = mount ? mount->id : mounts->own;
	pthread_mutex_unlock(&mounts->lock);
	return id;
}

bool mount_table_local(struct mount_table *mounts, const char *name)
{
	const struct mount *mount;
	bool local;

	pthread_mutex_lock(&mounts->lock);
	mount = mount_below(mounts, name);
	local = mount && mount->reachable;
	pthread_mutex_unlock(&mounts->lock);
	return local;
}

/* The root of a mount, if it still is that one's. All on the way is cached: mount points are. It is
 * not kept: nobody could unmount it. */
static int open_point(const struct mount_table *mounts, const struct mount *mount)
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
	const struct mount *mount;
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

	if (!enter(mounts, path, &place))
		return -1;
	how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | place.rules;
	fd = (int)syscall(
		SYS_openat2, place.folder, *place.rest ? place.rest : ".", &how, sizeof how);
	leave(&place);
	return fd;
}
