#include "inventory/objects.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/grow.h"
#include "base/io.h"
#include "inventory/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* Folders below folders below ...; deeper ones are not looked into. */
#define DEPTH_MAX 32

const char *object_type_text(enum object_type type)
{
	static const char *const texts[] = {
		[OBJECT_SEGMENT] = "segment",
		[OBJECT_SEMAPHORE] = "semaphore",
		[OBJECT_FILE] = "file",
		[OBJECT_OTHER] = "other",
		[OBJECT_MOUNT] = "mount",
		[OBJECT_DELETED] = "deleted",
		[OBJECT_MEMFD] = "memfd",
		[OBJECT_UNACCOUNTED] = "unaccounted",
		[OBJECT_SYSV_SEGMENT] = "sysv-segment",
		[OBJECT_SYSV_SEMAPHORES] = "sysv-semaphores",
		[OBJECT_SYSV_QUEUE] = "sysv-queue",
	};

	return texts[type];
}

const char *object_state_text(enum object_state state)
{
	return state == OBJECT_LIVE ? "live" : state == OBJECT_STALE ? "stale" : "unknown";
}

struct object *objects_add(struct objects *objects)
{
	struct object *more = grow(objects->items, objects->count, &objects->room, sizeof *more);

	if (!more)
		return NULL;
	objects->items = more;
	objects->items[objects->count] = (struct object){.attached = -1};
	return &objects->items[objects->count++];
}

static void object_release(struct object *object)
{
	free(object->name);
	free(object->space);
	free(object->why);
}

void objects_release(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		object_release(&objects->items[i]);
	free(objects->items);
	*objects = OBJECTS_NONE;
}

int64_t object_semaphore_value(const struct object *object)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(object->name, O_RDONLY, &status);
	uint32_t words[sizeof(sem_t) / sizeof(uint32_t)];

	if (fd < 0 || pread_full(fd, words, sizeof words, 0) != (ssize_t)sizeof words)
		return -1;
	/* glibc, nptl: the value is the low half of a 64-bit word, the waiters the high one; where
	 * words have 32 bits, the lowest bit says whether somebody waits. */
	if (sizeof(void *) == 4)
		return words[0] >> 1;
	return words[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__];
}

/* ---- the walk ---- */

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

static enum object_type type_of(const struct walk *walk, const char *file, mode_t mode)
{
	if (!S_ISREG(mode))
		return OBJECT_OTHER;
	if (walk->depth)
		return OBJECT_FILE;
	return strncmp(file, SEMAPHORE_FILE_PREFIX, strlen(SEMAPHORE_FILE_PREFIX))
		       ? OBJECT_SEGMENT
		       : OBJECT_SEMAPHORE;
}

static int look(void *context, int directory, const char *file);

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

static int add_file(struct walk *walk, const char *file, const struct statx *status)
{
	struct object *object = objects_add(&walk->found);

	if (!object)
		return ENOMEM;
	object->type = type_of(walk, file, status->stx_mode);
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

static int look(void *context, int directory, const char *file)
{
	struct walk *walk = context;
	const struct mount *mount;
	struct statx status;

	if (!strcmp(file, ".") || !strcmp(file, ".."))
		return 0;
	strcpy(walk->path + walk->folder, file);
	/* What is mounted there is not even looked at: its server may be dead. */
	mount = mounts_at(&walk->mounts, walk->path);
	if (mount)
		return add_mount(walk, mount);
	if (statx(directory, file, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
		    STATX_BASIC_STATS | STATX_BTIME, &status) != 0)
		return 0;
	return S_ISDIR(status.stx_mode) ? add_folder(walk, directory, file, &status)
					: add_file(walk, file, &status);
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

int objects_read(struct objects *ret, struct error *err)
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

static bool add_nameless(struct objects *objects, const struct nameless *nameless)
{
	struct object *object = objects_add(objects);

	if (!object)
		return false;
	if (asprintf(&object->name, "%s%s", nameless->memfd ? "memfd:" : "", nameless->name) < 0) {
		object->name = NULL;
		return false;
	}
	object->type = nameless->memfd ? OBJECT_MEMFD : OBJECT_DELETED;
	object->file = nameless->file;
	object->size = nameless->size;
	object->allocated = nameless->allocated;
	object->uid = nameless->uid;
	object->gid = nameless->gid;
	object->mode = nameless->mode;
	object->changed = nameless->changed;
	return true;
}

int objects_add_nameless(struct objects *objects, const struct holders *holders, struct error *err)
{
	for (size_t i = 0; i < holders->nameless_count; i++) {
		const struct nameless *nameless = &holders->nameless[i];
		char name[NAME_MAX + sizeof " (deleted)"];

		/* A file whose name ends like that is there still. */
		snprintf(name, sizeof name, "%.*s (deleted)", NAME_MAX, nameless->name);
		if (!nameless->memfd && !nameless->measured && shm_file_is(name, nameless->file))
			continue;
		if (!add_nameless(objects, nameless))
			return error_os(err, ENOMEM, "cannot list the deleted files");
	}
	return STATUS_OK;
}
