#include "inventory/nameless.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/grow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define DELETED " (deleted)"
#define MEMFD   "/memfd:"

dev_t nameless_memfd_device(void)
{
	AUTO_CLOSE int fd = memfd_create("shmsem", MFD_CLOEXEC);
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 ? status.st_dev : 0;
}

static bool begins(const char *path, size_t length, const char *with)
{
	return length > strlen(with) && !memcmp(path, with, strlen(with));
}

/* The name in it, without the folder and the note that it is deleted. */
static char *name_in(const char *path, size_t length, bool memfd)
{
	size_t skip = memfd                                     ? strlen(MEMFD)
		      : begins(path, length, SHM_DIRECTORY "/") ? sizeof SHM_DIRECTORY
								: 0;

	return strndup(path + skip, length - skip - strlen(DELETED));
}

bool nameless_note(struct nameless_list *list, struct file_id file, const char *path, size_t length,
	const struct statx *status, uint64_t mapped)
{
	struct nameless one = {.file = file, .size = mapped}, *more;

	if (length <= strlen(DELETED) ||
		memcmp(path + length - strlen(DELETED), DELETED, strlen(DELETED)) != 0)
		return true;
	/* A name may end like that, too. */
	if (status && status->stx_nlink)
		return true;
	one.memfd = begins(path, length, MEMFD);
	if (status) {
		one.measured = true;
		one.size = status->stx_size;
		one.allocated = status->stx_blocks * 512;
		one.uid = status->stx_uid;
		one.gid = status->stx_gid;
		one.mode = status->stx_mode;
		one.changed = status->stx_ctime.tv_sec * (int64_t)NS_PER_SECOND +
			      status->stx_ctime.tv_nsec;
	}
	more = grow(list->items, list->count, &list->room, sizeof *more);
	if (!more)
		return false;
	list->items = more;
	one.name = name_in(path, length, one.memfd);
	if (one.name)
		list->items[list->count++] = one;
	return one.name;
}

static int compare(const void *left, const void *right)
{
	const struct nameless *a = left, *b = right;

	if (a->file.device != b->file.device)
		return a->file.device > b->file.device ? 1 : -1;
	if (a->file.inode != b->file.inode)
		return a->file.inode > b->file.inode ? 1 : -1;
	if (a->measured != b->measured)
		return a->measured ? -1 : 1;
	return (a->size < b->size) - (a->size > b->size);
}

void nameless_settle(struct nameless_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->items, list->count, sizeof *list->items, compare);
	for (size_t i = 0; i < list->count; i++) {
		if (kept && file_id_equal(list->items[kept - 1].file, list->items[i].file))
			free(list->items[i].name);
		else
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}
