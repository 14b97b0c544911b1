#include "inventory/objects.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "inventory/lease.h"
#include "inventory/mounts.h"
#include "inventory/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* Folders below folders below ...; deeper ones are not looked into. */
#define DEPTH_MAX 32

struct walk {
	struct objects found;
	struct mounts mounts;
	/* What is looked at: `folder` bytes of it, with a slash at their end, and a name. */
	char path[sizeof SHM_DIRECTORY + PATH_MAX + NAME_MAX + 1];
	size_t folder;
	unsigned depth;
};

static int64_t nanoseconds(const struct statx_timestamp *time)
{
	return time->tv_sec * (int64_t)NS_PER_SECOND + time->tv_nsec;
}

static void fill_in(struct object *object, const struct statx *status)
{
	object->file = (struct file_id){
		.device = makedev(status->stx_dev_major, status->stx_dev_minor),
		.inode = status->stx_ino};
	object->size = status->stx_size;
	object->allocated = status->stx_blocks * 512;
	object->uid = status->stx_uid;
	object->gid = status->stx_gid;
	object->mode = status->stx_mode;
	object->accessed = nanoseconds(&status->stx_atime);
	object->changed = nanoseconds(&status->stx_ctime);
	if (status->stx_mask & STATX_BTIME)
		object->birth = nanoseconds(&status->stx_btime);
	if (!S_ISREG(status->stx_mode))
		object->type = OBJECT_OTHER;
}

/* By its name, if it is one of ours. False when out of memory. */
static bool parse_name(struct object *object)
{
	struct name_space space;

	if (!object_file_parse(object->name, &space, &object->kind, &object->index))
		return true;
	object->space = strdup(space.text);
	return object->space;
}

static enum object_type type_of(const struct walk *walk, const char *file)
{
	if (walk->depth)
		return OBJECT_FILE;
	return strncmp(file, SEMAPHORE_FILE_PREFIX, strlen(SEMAPHORE_FILE_PREFIX))
		       ? OBJECT_SEGMENT
		       : OBJECT_SEMAPHORE;
}

static int look(void *context, int directory, const struct dirent *entry);

/* Looks into the folder that `path` names. 0, or an errno: ENOMEM, or why it cannot be read. */
static int look_into(struct walk *walk, int directory, const char *file)
{
	size_t outer = walk->folder, length = strlen(walk->path);
	int result;

	if (walk->depth == DEPTH_MAX || length >= PATH_MAX)
		return ENAMETOOLONG;
	walk->path[length] = '/';
	walk->folder = length + 1;
	walk->depth++;
	result = shm_file_walk(directory, file, look, walk);
	walk->depth--;
	walk->folder = outer;
	walk->path[length] = '\0';
	return result < 0 ? errno : result;
}

/* The path as objects are named, below SHM_DIRECTORY. */
static const char *name_below(const struct walk *walk)
{
	return walk->path + sizeof SHM_DIRECTORY;
}

/* How much a tmpfs holds; of others nothing is asked, whose server may be dead. */
static uint64_t mount_used(const struct mount *mount)
{
	struct statvfs system;

	if (strcmp(mount->type, "tmpfs") != 0 || statvfs(mount->path, &system) != 0)
		return 0;
	return (uint64_t)(system.f_blocks - system.f_bfree) * system.f_frsize;
}

/* 0 or ENOMEM. */
static int add_mount(struct walk *walk, const struct mount *mount)
{
	struct object *object = objects_add(&walk->found);

	if (!object)
		return ENOMEM;
	object->type = OBJECT_MOUNT;
	object->size = object->allocated = mount_used(mount);
	object->name = strdup(name_below(walk));
	if (asprintf(&object->why, "a %s is mounted here, which takes nothing of %s", mount->type,
		    SHM_DIRECTORY) < 0)
		object->why = NULL;
	return object->name && object->why ? 0 : ENOMEM;
}

/* `status` may be NULL: of a regular file that is yet to be examined. */
static int add_file(struct walk *walk, const char *file, const struct statx *status)
{
	struct object *object = objects_add(&walk->found);

	if (!object)
		return ENOMEM;
	object->type = type_of(walk, file);
	if (status)
		fill_in(object, status);
	object->name = strdup(name_below(walk));
	return object->name && (walk->depth || parse_name(object)) ? 0 : ENOMEM;
}

/* What is in a folder is told, and the folder itself only if it has the name of an object or keeps
 * from us what is in it. */
static int add_folder(
	struct walk *walk, int directory, const char *file, const struct statx *status)
{
	int failed = look_into(walk, directory, file);
	struct name_space space;
	enum object_kind kind;
	unsigned index;

	if (failed == ENOMEM)
		return failed;
	if (failed || (!walk->depth && object_file_parse(file, &space, &kind, &index)))
		return add_file(walk, file, status);
	return 0;
}

static int look(void *context, int directory, const struct dirent *entry)
{
	struct walk *walk = context;
	const char *file = entry->d_name;
	const struct mount *mount;
	struct statx status;

	if (!strcmp(file, ".") || !strcmp(file, ".."))
		return 0;
	strcpy(walk->path + walk->folder, file);
	/* What is mounted there is not even looked at: its server may be dead. */
	mount = mounts_at(&walk->mounts, walk->path);
	if (mount)
		return add_mount(walk, mount);
	/* There may be hundreds of thousands of these: examine_all shares them out. */
	if (entry->d_type == DT_REG && !walk->depth)
		return add_file(walk, file, NULL);
	if (statx(directory, file, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
		    STATX_BASIC_STATS | STATX_BTIME, &status) != 0)
		return 0;
	return S_ISDIR(status.stx_mode) ? add_folder(walk, directory, file, &status)
					: add_file(walk, file, &status);
}

/* ---- what the walk has found, examined by several threads ---- */

struct examination {
	struct objects *objects;
	bool leases;
	int directory;
};

#define LOOK   (AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC)
#define WANTED (STATX_BASIC_STATS | STATX_BTIME)

/* Asks for a lease on the way, where that decides; false if the file is gone. */
static bool examine(const struct examination *examination, struct object *object)
{
	int directory = examination->directory;
	AUTO_CLOSE int fd = object->space || !examination->leases
				    ? -1
				    : shm_file_open_in(directory, object->name);
	struct statx status;

	if (statx(fd < 0 ? directory : fd, fd < 0 ? object->name : "",
		    fd < 0 ? LOOK : LOOK | AT_EMPTY_PATH, WANTED, &status) != 0)
		return false;
	fill_in(object, &status);
	if (fd >= 0)
		object->lease = lease_of(fd);
	return true;
}

static void examine_some(void *context, size_t start, size_t end)
{
	const struct examination *examination = context;

	for (size_t i = start; i < end; i++) {
		struct object *object = &examination->objects->items[i];

		if (!object->mode && object->type <= OBJECT_SEMAPHORE &&
			!examine(examination, object))
			object_release(object);
	}
}

/* 0, or an errno. */
static int examine_all(struct objects *objects, bool leases)
{
	AUTO_CLOSE int directory = open(SHM_DIRECTORY, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct examination examination = {
		.objects = objects, .leases = leases, .directory = directory};
	size_t kept = 0;

	if (directory < 0)
		return errno;
	lease_prepare();
	parallel_do(objects->count, examine_some, &examination);
	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i].name)
			objects->items[kept++] = objects->items[i];
	objects->count = kept;
	return 0;
}

static int compare_objects(const void *left, const void *right)
{
	const struct object *a = left, *b = right;
	int order;

	if (!a->space != !b->space)
		return a->space ? -1 : 1;
	if (!a->space)
		return strcmp(a->name, b->name);
	order = strcmp(a->space, b->space);
	if (order)
		return order;
	/* HEAD first, then the data segments, then the semaphores. */
	if (a->kind != b->kind)
		return (a->kind + 2) % 4 < (b->kind + 2) % 4 ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

int objects_read(struct objects *ret, bool leases, struct error *err)
{
	struct walk walk = {.path = SHM_DIRECTORY "/", .folder = sizeof SHM_DIRECTORY};
	struct statvfs system;
	int failed;

	if (statvfs(SHM_DIRECTORY, &system) == 0)
		walk.found.used = (uint64_t)(system.f_blocks - system.f_bfree) * system.f_frsize;
	/* Without /proc none are known. */
	mounts_read(&walk.mounts);
	mounts_keep_below(&walk.mounts, SHM_DIRECTORY "/");
	failed = shm_file_walk(AT_FDCWD, SHM_DIRECTORY, look, &walk);
	mounts_release(&walk.mounts);
	if (!failed)
		failed = examine_all(&walk.found, leases);
	if (failed) {
		objects_release(&walk.found);
		return error_os(err, failed < 0 ? errno : failed, "cannot list %s", SHM_DIRECTORY);
	}
	if (walk.found.count)
		qsort(walk.found.items, walk.found.count, sizeof *walk.found.items,
			compare_objects);
	*ret = walk.found;
	return STATUS_OK;
}
