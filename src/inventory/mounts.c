#include "inventory/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_octal(const char *text)
{
	for (unsigned i = 0; i < 3; i++)
		if (text[i] < '0' || text[i] > '7')
			return false;
	return true;
}

/* Blanks and the like stand as \040 there. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && is_octal(text + 1)) {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /mounted/at rw,noatime shared:1 - tmpfs source options". False if it is no such
 * line; *ret->path is NULL when out of memory. */
static bool parse_line(char *line, struct mount *ret)
{
	char *end = strstr(line, " - "), *at = line, *fields[6], *type;

	if (!end)
		return false;
	*end = '\0';
	for (size_t i = 0; i < 6; i++) {
		fields[i] = strsep(&at, " ");
		if (!fields[i])
			return false;
	}
	type = end + 3;
	type[strcspn(type, " \n")] = '\0';
	unescape(fields[4]);
	unescape(type);
	ret->id = strtoull(fields[0], NULL, 10);
	ret->path = strdup(fields[4]);
	ret->type = strdup(type);
	ret->read_only = !strncmp(fields[5], "ro", 2) && (!fields[5][2] || fields[5][2] == ',');
	return true;
}

static int add(struct mounts *mounts, const struct mount *mount)
{
	struct mount *more = reallocarray(mounts->items, mounts->count + 1, sizeof *more);

	if (!more || !mount->path || !mount->type) {
		free(mount->path);
		free(mount->type);
		mounts->items = more ? more : mounts->items;
		return ENOMEM;
	}
	mounts->items = more;
	mounts->items[mounts->count++] = *mount;
	return 0;
}

int mounts_read(struct mounts *ret)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	struct mounts mounts = {0};
	char *line = NULL;
	size_t size = 0;
	int failed = 0;

	if (!file)
		return errno;
	while (!failed && getline(&line, &size, file) > 0) {
		struct mount mount = {0};

		if (parse_line(line, &mount))
			failed = add(&mounts, &mount);
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
