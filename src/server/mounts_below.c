#include "server/mounts_below.h"

#include "base/cleanup.h"
#include "base/mountinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Types of file systems that wait for nothing but local disks. */
static const char *const local_types[] = {"bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3",
	"ext4", "f2fs", "iso9660", "overlay", "ramfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat",
	"xfs", "zfs"};

static bool type_is_local(const char *type)
{
	for (size_t i = 0; i < sizeof local_types / sizeof *local_types; i++)
		if (!strcmp(type, local_types[i]))
			return true;
	return false;
}

/* Out of memory, a mount is not known: its files are asked for as those of an unknown one. */
static void add(struct mounts_below *below, int id, bool local, const char *point)
{
	struct mount_below *mounts = realloc(below->mounts, (below->count + 1) * sizeof *mounts);
	char *copy = strdup(point);

	if (mounts)
		below->mounts = mounts;
	if (!mounts || !copy) {
		free(copy);
		return;
	}
	mounts[below->count++] = (struct mount_below){.id = id, .local = local, .point = copy};
}

/* `length`: of the folder's path; 0 for the root. */
static void take(struct mounts_below *below, const struct mountinfo *mount, const char *path,
	size_t length, int own)
{
	const char *point = mount->path;
	bool local = type_is_local(mount->type);

	if ((int)mount->id == own) {
		below->own_listed = true;
		below->own_local = local;
	}
	if (!strncmp(point, path, length) && point[length] == '/' && point[length + 1])
		add(below, (int)mount->id, local, point + length + 1);
}

/* The length of a mount point if the name is below it, or its root. */
static size_t length_above(const char *name, const char *point)
{
	size_t length = strlen(point);

	return !strncmp(name, point, length) && (!name[length] || name[length] == '/') ? length : 0;
}

static void note_reachable(struct mounts_below *below)
{
	for (size_t i = 0; i < below->count; i++) {
		struct mount_below *mount = &below->mounts[i];

		mount->reachable = mount->local;
		for (size_t j = 0; j < below->count; j++)
			if (!below->mounts[j].local &&
				length_above(mount->point, below->mounts[j].point))
				mount->reachable = false;
	}
}

int mounts_below_read(const char *path, int own, struct mounts_below *ret)
{
	AUTO_FCLOSE FILE *file = fopen(MOUNTINFO, "re");
	AUTO_FREE char *line = NULL;
	struct mountinfo mount;
	size_t size = 0, length = strlen(path);

	if (!file)
		return -1;
	*ret = (struct mounts_below){0};
	while (getline(&line, &size, file) > 0)
		if (mountinfo_parse(line, &mount))
			take(ret, &mount, path, length > 1 ? length : 0, own);
	note_reachable(ret);
	return 0;
}

void mounts_below_release(struct mounts_below *below)
{
	for (size_t i = 0; i < below->count; i++)
		free(below->mounts[i].point);
	free(below->mounts);
	*below = (struct mounts_below){0};
}

bool mounts_below_same(const struct mounts_below *a, const struct mounts_below *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->mounts[i].id != b->mounts[i].id ||
			strcmp(a->mounts[i].point, b->mounts[i].point) != 0)
			return false;
	return true;
}

const struct mount_below *mounts_below_find(const struct mounts_below *below, const char *name)
{
	const struct mount_below *found = NULL;
	size_t longest = 1;

	for (size_t i = 0; i < below->count; i++) {
		size_t length = length_above(name, below->mounts[i].point);

		if (length < longest)
			continue;
		longest = length;
		found = &below->mounts[i];
	}
	return found;
}

int mount_of_descriptor(int fd)
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
