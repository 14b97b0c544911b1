#include "server/mount_table.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
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
	char *point; /* from the folder on */
};

struct mount_table {
	int folder, changes; /* the folder; MOUNTINFO, for poll(2); -1 */
	char path[PATH_MAX]; /* of the folder */
	int own;             /* its mount */
	bool blocks;         /* that may block */
	uint64_t rules;
	struct mount *below;
	size_t count;
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

static void forget_below(struct mount_table *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		free(mounts->below[i].point);
	free(mounts->below);
	mounts->below = NULL;
	mounts->count = 0;
}

/* Out of memory, a mount is not known: its files are asked for as those of an unknown one. */
static void add_below(struct mount_table *mounts, int id, const char *point)
{
	struct mount *below = realloc(mounts->below, (mounts->count + 1) * sizeof *below);
	char *copy = strdup(point);

	if (below)
		mounts->below = below;
	if (!below || !copy) {
		free(copy);
		return;
	}
	below[mounts->count++] = (struct mount){.id = id, .point = copy};
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
		add_below(mounts, id, point + length + 1);
}

/* All mounts, as they are now. */
static int look(struct mount_table *mounts)
{
	AUTO_FCLOSE FILE *file = fopen(MOUNTINFO, "re");
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	if (!file)
		return -1;
	forget_below(mounts);
	while (getline(&line, &size, file) > 0)
		take_line(mounts, line);
	return 0;
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
	forget_below(mounts);
	if (mounts->changes >= 0)
		close(mounts->changes);
	free(mounts);
	return NULL;
}

bool mount_table_all_block(const struct mount_table *mounts)
{
	return mounts->blocks;
}

uint64_t mount_table_rules(const struct mount_table *mounts)
{
	return mounts->rules;
}

int mount_table_own(const struct mount_table *mounts)
{
	return mounts->own;
}

/* Of two mounts at one place the later one is on top. */
int mount_table_of(struct mount_table *mounts, const char *name)
{
	struct pollfd changes = {.fd = mounts->changes, .events = POLLPRI};
	int id = mounts->own;
	size_t longest = 0;

	if (poll(&changes, 1, 0) > 0)
		look(mounts);
	for (size_t i = 0; i < mounts->count; i++) {
		size_t length = strlen(mounts->below[i].point);

		if (length < longest || strncmp(name, mounts->below[i].point, length) != 0 ||
			(name[length] && name[length] != '/'))
			continue;
		longest = length;
		id = mounts->below[i].id;
	}
	return id;
}

bool mount_table_resolve(const struct mount_table *mounts, const char *name, struct resolved *ret,
	int *ret_status, struct error *err)
{
	const struct files_rules rules = {.resolve = mounts->rules};

	if (mounts->blocks)
		return false;
	*ret_status = files_resolve_by(mounts->folder, name, &rules, ret, err);
	return !ret->refused;
}
