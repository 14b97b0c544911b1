#include "inventory/objects.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "exchange/header.h"
#include "inventory/lease.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const char *object_type_text(enum object_type type)
{
	static const char *const texts[] = {
		[OBJECT_SEGMENT] = "segment",
		[OBJECT_SEMAPHORE] = "semaphore",
		[OBJECT_MISPLACED] = "other",
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
	if (objects->count == objects->room) {
		size_t room = objects->room ? 2 * objects->room : 64;
		struct object *more = reallocarray(objects->items, room, sizeof *more);

		if (!more)
			return NULL;
		objects->items = more;
		objects->room = room;
	}
	objects->items[objects->count] = (struct object){.attached = -1, .value = -1};
	return &objects->items[objects->count++];
}

void objects_release(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		free(objects->items[i].name);
	free(objects->items);
	*objects = OBJECTS_NONE;
}

static int64_t nanoseconds(const struct statx_timestamp *time)
{
	return time->tv_sec * (int64_t)NS_PER_SECOND + time->tv_nsec;
}

/* The value of a semaphore, read as plain bytes; -1 if the file is none or may not be read. */
static int64_t semaphore_value(const char *file)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(file, O_RDONLY, &status);
	uint32_t words[sizeof(sem_t) / sizeof(uint32_t)];

	if (fd < 0 || pread_full(fd, words, sizeof words, 0) != (ssize_t)sizeof words)
		return -1;
	/* glibc, nptl: the value is the low half of a 64-bit word, the waiters the high one; where
	 * words have 32 bits, the lowest bit says whether somebody waits. */
	if (sizeof(void *) == 4)
		return words[0] >> 1;
	return words[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__];
}

/* False if the file is gone or nothing to list. */
static bool look_at_file(int directory, const char *file, struct object *object)
{
	bool semaphore = !strncmp(file, SEMAPHORE_FILE_PREFIX, strlen(SEMAPHORE_FILE_PREFIX));
	struct statx status;

	if (statx(directory, file, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
		    STATX_BASIC_STATS | STATX_BTIME, &status) != 0)
		return false;
	object->named = object_file_parse(file, &object->space, &object->kind, &object->index);
	if (!S_ISREG(status.stx_mode) && !object->named)
		return false;
	object->type = !S_ISREG(status.stx_mode) ? OBJECT_MISPLACED
		       : semaphore               ? OBJECT_SEMAPHORE
						 : OBJECT_SEGMENT;
	object->file = (struct file_id){
		.device = makedev(status.stx_dev_major, status.stx_dev_minor),
		.inode = status.stx_ino};
	object->size = status.stx_size;
	object->allocated = status.stx_blocks * 512;
	object->uid = status.stx_uid;
	object->gid = status.stx_gid;
	object->mode = status.stx_mode;
	object->accessed = nanoseconds(&status.stx_atime);
	object->changed = nanoseconds(&status.stx_ctime);
	if (status.stx_mask & STATX_BTIME)
		object->birth = nanoseconds(&status.stx_btime);
	if (object->type == OBJECT_SEMAPHORE)
		object->value = semaphore_value(file);
	return true;
}

static int compare_objects(const void *left, const void *right)
{
	const struct object *a = left, *b = right;
	int order;

	if (a->named != b->named)
		return a->named ? -1 : 1;
	if (!a->named)
		return strcmp(a->name, b->name);
	order = strcmp(a->space.text, b->space.text);
	if (order)
		return order;
	/* HEAD first, then the data segments, then the semaphores. */
	if (a->kind != b->kind)
		return (a->kind + 2) % 4 < (b->kind + 2) % 4 ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

int objects_read(struct objects *ret, struct error *err)
{
	AUTO_CLOSEDIR DIR *directory = opendir(SHM_DIRECTORY);
	struct objects found = OBJECTS_NONE;

	if (!directory)
		return error_os(err, errno, "cannot read %s", SHM_DIRECTORY);
	for (struct dirent *entry; (entry = readdir(directory));) {
		struct object *object = objects_add(&found);

		if (object)
			object->name = strdup(entry->d_name);
		if (!object || !object->name) {
			objects_release(&found);
			return error_os(err, ENOMEM, "cannot list %s", SHM_DIRECTORY);
		}
		if (!look_at_file(dirfd(directory), entry->d_name, object)) {
			free(object->name);
			found.count--;
		}
	}
	if (found.count)
		qsort(found.items, found.count, sizeof *found.items, compare_objects);
	*ret = found;
	return STATUS_OK;
}

void object_tell_holders(struct object *object, const char *verb)
{
	const struct holder *first = object->holders;
	char command[4 * COMMAND_SIZE], more[32] = "";

	text_escape(first->command, strlen(first->command), command, sizeof command);
	if (object->users > 1)
		snprintf(more, sizeof more, " and %zu more", object->users - 1);
	snprintf(object->why, sizeof object->why, "%s %d (%s)%s", verb, (int)first->pid, command,
		more);
}

/* Where only a few processes are shielded from us, the kernel may be asked about them. */
static bool is_unused(const struct object *object, const struct holders *holders)
{
	AUTO_CLOSE int lease = -1;

	if (!holders->blind[0])
		return true;
	if (!holders->privileged)
		return false;
	lease = lease_open(object->name, object->file);
	return lease >= 0;
}

/* An object that knows no locks is needed as long as a process holds it. */
static void judge_by_holders(struct object *object, const struct holders *holders)
{
	if (object->type == OBJECT_MISPLACED) {
		snprintf(object->why, sizeof object->why, "is %s", file_kind_text(object->mode));
	} else if (object->users) {
		object->state = OBJECT_LIVE;
		object_tell_holders(object, object->holders->mapped ? "mapped by" : "open in");
	} else if (is_unused(object, holders)) {
		object->state = OBJECT_STALE;
		snprintf(object->why, sizeof object->why, "nobody maps it");
	} else {
		snprintf(object->why, sizeof object->why, "%s", holders->blind);
	}
}

/* What the locks of a namespace say. */
struct verdict {
	enum {
		MADE_BY_OTHERS,
		NO_PERMISSION,
		CREATOR_LIVES, /* of a classic namespace, and one of ours */
		SERVER_LIVES,
		SERVER_DEAD,
	} says;
	uint32_t pid;
	uint64_t flags;
	uid_t owner; /* a header speaks only for the objects of its own owner */
};

/* `objects` are all of one namespace, HEAD first if there is one. */
static struct verdict verdict_of(const struct object *objects, size_t count)
{
	struct verdict verdict = {.says = MADE_BY_OTHERS, .owner = objects[0].uid};
	struct header header = {0};
	bool classic = false;

	if (objects[0].type != OBJECT_MISPLACED && objects[0].kind == OBJECT_HEAD) {
		struct stat status;
		AUTO_CLOSE int fd = shm_file_open(objects[0].name, O_RDONLY, &status);

		if (fd < 0 || header_read(fd, &header) != 0) {
			verdict.says = NO_PERMISSION;
			return verdict;
		}
		classic = !header.native;
		verdict.pid = header.pid;
		verdict.flags = header.flags;
		verdict.says = classic ? MADE_BY_OTHERS : SERVER_DEAD;
	}
	for (size_t i = 0; i < count; i++) {
		const struct object *one = &objects[i];
		int served = one->type == OBJECT_MISPLACED ? -1 : object_served(one->name);

		if (served == 1) {
			verdict.says = classic ? CREATOR_LIVES : SERVER_LIVES;
			verdict.owner = one->uid;
			break;
		}
		/* Only servers of ours number objects, so these speak where HEAD is gone. */
		if (header.native || classic || !one->index || one->type == OBJECT_MISPLACED ||
			verdict.says == SERVER_DEAD)
			continue;
		verdict.says = served == 0 ? SERVER_DEAD : NO_PERMISSION;
		verdict.owner = one->uid;
	}
	return verdict;
}

static void judge_by_locks(
	struct object *object, const struct verdict *verdict, const struct holders *holders)
{
	char pid[32] = "";

	if (verdict->pid)
		snprintf(pid, sizeof pid, "%s%u", verdict->says == SERVER_LIVES ? " by " : ", was ",
			verdict->pid);
	object->native = verdict->says != MADE_BY_OTHERS && object->uid == verdict->owner &&
			 object->type != OBJECT_MISPLACED;
	if (!object->native) {
		judge_by_holders(object, holders);
	} else if (verdict->says == CREATOR_LIVES) {
		object->state = OBJECT_LIVE;
		snprintf(object->why, sizeof object->why, "its creator's lock held");
	} else if (verdict->says == SERVER_LIVES) {
		object->state = OBJECT_LIVE;
		snprintf(object->why, sizeof object->why, "server's lock held%s%s%s", pid,
			verdict->flags & WIRE_SERVER_NO_LANDLOCK ? ", without Landlock" : "",
			verdict->flags & WIRE_SERVER_NO_SECCOMP ? ", without seccomp" : "");
	} else if (verdict->says == SERVER_DEAD) {
		object->state = OBJECT_STALE;
		snprintf(object->why, sizeof object->why, "server's lock free%s", pid);
	} else if (object->users) {
		judge_by_holders(object, holders);
	} else {
		snprintf(object->why, sizeof object->why,
			"no permission to look at the server's lock");
	}
}

void objects_judge(struct objects *objects, const struct holders *holders)
{
	size_t end;

	for (size_t i = 0; i < objects->count; i++) {
		struct object *object = &objects->items[i];

		if (object_is_sysv(object))
			continue;
		object->users = holders_find(holders, false, object->file.inode, &object->holders);
	}
	for (size_t start = 0; start < objects->count; start = end) {
		struct object *first = &objects->items[start];
		struct verdict verdict;

		end = start + 1;
		if (object_is_sysv(first))
			continue;
		if (!first->named) {
			judge_by_holders(first, holders);
			continue;
		}
		while (end < objects->count && objects->items[end].named &&
			!strcmp(objects->items[end].space.text, first->space.text))
			end++;
		verdict = verdict_of(first, end - start);
		for (size_t i = start; i < end; i++)
			judge_by_locks(&objects->items[i], &verdict, holders);
	}
}
