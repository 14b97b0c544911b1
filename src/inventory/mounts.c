#include "inventory/mounts.h"

#include "base/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct mount copy_of(const struct mountinfo *line)
{
	return (struct mount){
		.id = line->id,
		.path = strdup(line->path),
		.type = strdup(line->type),
		.read_only = line->read_only,
	};
}

static int add(struct mounts *mounts, struct mount mount)
{
	struct mount *more = reallocarray(mounts->items, mounts->count + 1, sizeof *more);

	if (!more || !mount.path || !mount.type) {
		free(mount.path);
		free(mount.type);
		mounts->items = more ? more : mounts->items;
		return ENOMEM;
	}
	mounts->items = more;
	mounts->items[mounts->count++] = mount;
	return 0;
}

int mounts_read(struct mounts *ret)
{
	FILE *file = fopen(MOUNTINFO, "re");
	struct mounts mounts = {0};
	char *line = NULL;
	size_t size = 0;
	int failed = 0;

	if (!file)
		return errno;
	while (!failed && getline(&line, &size, file) > 0) {
		struct mountinfo parsed;

		if (mountinfo_parse(line, &parsed))
			failed = add(&mounts, copy_of(&parsed));
	}
	free(line);
	fclose(file);
	if (failed)
		mounts_release(&mounts);
	else
		*ret = mounts;
	return failed;
}

static void mount_release(struct mount *mount)
{
	free(mount->path);
	free(mount->type);
}

void mounts_keep_below(struct mounts *mounts, const char *prefix)
{
	size_t kept = 0;

	for (size_t i = 0; i < mounts->count; i++) {
		if (strncmp(mounts->items[i].path, prefix, strlen(prefix)))
			mount_release(&mounts->items[i]);
		else
			mounts->items[kept++] = mounts->items[i];
	}
	mounts->count = kept;
}

void mounts_release(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		mount_release(&mounts->items[i]);
	free(mounts->items);
	*mounts = (struct mounts){0};
}

const struct mount *mounts_at(const struct mounts *mounts, const char *path)
{
	for (size_t i = mounts->count; i-- > 0;)
		if (!strcmp(mounts->items[i].path, path))
			return &mounts->items[i];
	return NULL;
}

const struct mount *mounts_of(const struct mounts *mounts, const char *path)
{
	struct statx status;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &status) != 0)
		return NULL;
	for (size_t i = 0; i < mounts->count; i++)
		if (mounts->items[i].id == status.stx_mnt_id)
			return &mounts->items[i];
	return NULL;
}
