#include "server/files.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The coarsest clock by which kernels stamp files locally ticks every 10 ms. Some file systems keep
 * whole seconds of it only, and FAT every other one. */
#define RECENT_NS        (20 * (int64_t)NS_PER_MS)
#define RECENT_COARSE_NS (2 * (int64_t)NS_PER_SECOND + RECENT_NS)

#define NAME_SHOWN 256
#define DEPTH_MAX  32

static const char *const extensions[] = {".jpg", ".jpeg", ".png"};

static int64_t stamp(const struct timespec *time)
{
	return (int64_t)time->tv_sec * (int64_t)NS_PER_SECOND + time->tv_nsec;
}

static struct file_key key_of(const struct stat *status)
{
	return (struct file_key){.device = status->st_dev,
		.inode = status->st_ino,
		.size = (uint64_t)status->st_size,
		.modified = stamp(&status->st_mtim),
		.changed = stamp(&status->st_ctim)};
}

/* Whether a file that had that stamp at a moment not before `now` may change once more without
 * showing it. */
static bool is_recent(int64_t changed, int64_t now)
{
	bool coarse = changed % (int64_t)NS_PER_SECOND == 0;

	return changed > now - (coarse ? RECENT_COARSE_NS : RECENT_NS);
}

bool files_key(int fd, struct file_key *ret)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return false;
	*ret = key_of(&status);
	return true;
}

bool files_one_name(int fd, const struct file_key *key)
{
	struct stat status;
	struct file_key now;

	if (fstat(fd, &status) != 0)
		return false;
	now = key_of(&status);
	return status.st_nlink == 1 && !memcmp(&now, key, sizeof now);
}

int files_check(const struct resolved *file, uint64_t most, struct error *err)
{
	char limit[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE], shown[NAME_SHOWN];

	text_escape(file->path, strlen(file->path), shown, sizeof shown);
	if (!file->key.size)
		return error_set(err, STATUS_BAD_DATA, "%s: the file is empty", shown);
	if (most && file->key.size > most)
		return error_set(err, STATUS_BAD_DATA,
			"%s: a file of %s is over the limit of %s (--max-file)", shown,
			format_size(file->key.size, have), format_size(most, limit));
	return STATUS_OK;
}

bool files_unchanged(int folder, const char *path, const struct file_key *key)
{
	struct stat status;
	struct file_key now;

	if (fstatat(folder, path, &status, 0) != 0)
		return false;
	now = key_of(&status);
	return !memcmp(&now, key, sizeof now);
}

bool files_local(int folder)
{
	struct statfs system;

	if (fstatfs(folder, &system) != 0)
		return false;
	switch ((unsigned long)system.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case MSDOS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

static int open_beneath(int folder, const char *path, uint64_t resolve)
{
	struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve};

	return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

bool files_name_plain(const char *name)
{
	for (const char *part = name;; part++) {
		size_t length = strcspn(part, "/");

		if (!length || (length <= 2 && !strncmp(part, "..", length)))
			return false;
		part += length;
		if (!*part)
			return true;
	}
}

static bool has_extension(const char *name)
{
	const char *base = strrchr(name, '/');

	return strchr(base ? base + 1 : name, '.') != NULL;
}

/* Opens ret->path; the status says why it is not to be served. */
static int resolve_exactly(int folder, struct resolved *ret, const char *shown, struct error *err)
{
	AUTO_CLOSE int fd = open_beneath(folder, ret->path, RESOLVE_NO_SYMLINKS);
	struct timespec now;
	struct stat status;
	bool linked = false;

	if (fd < 0 && errno == ELOOP) {
		linked = true;
		fd = open_beneath(folder, ret->path, 0);
	}
	if (fd < 0 && errno == EXDEV)
		return error_set(
			err, STATUS_NOT_FOUND, "%s: leads out of the served folder", shown);
	if (fd < 0 && (errno == ENXIO || errno == EAGAIN || errno == ELOOP))
		return error_set(
			err, STATUS_NOT_FOUND, "%s: cannot be opened as a regular file", shown);
	if (fd < 0 && errno == ENOSYS)
		return error_set(err, STATUS_INTERNAL,
			"%s: the kernel has no openat2(2), which Linux 5.6 brought", shown);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, STATUS_NOT_FOUND, "%s: no such image", shown);
	if (fd < 0)
		return error_os(err, errno, "%s: cannot be opened", shown);
	clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(fd, &status) != 0)
		return error_os(err, errno, "%s: cannot be examined", shown);
	if (!S_ISREG(status.st_mode))
		return error_set(err, STATUS_NOT_FOUND, "%s: not a regular file", shown);
	ret->key = key_of(&status);
	ret->recent = is_recent(ret->key.changed, stamp(&now));
	ret->watchable = !linked && status.st_nlink == 1;
	ret->fd = steal_fd(&fd);
	return STATUS_OK;
}

int files_resolve(int folder, const char *name, struct resolved *ret, struct error *err)
{
	char shown[NAME_SHOWN];
	size_t length = strlen(name);
	int status;

	text_escape(name, length, shown, sizeof shown);
	if (!files_name_plain(name))
		return error_set(err, STATUS_NOT_FOUND,
			"%s: not a name beneath the served folder (no leading '/', no empty, '.' "
			"or '..' part)",
			shown);
	if (length + sizeof ".jpeg" > sizeof ret->path)
		return error_set(err, STATUS_NOT_FOUND, "%s: the name is too long", shown);
	strcpy(ret->path, name);
	status = resolve_exactly(folder, ret, shown, err);
	for (size_t i = 0; status == STATUS_NOT_FOUND && !has_extension(name) &&
			   i < sizeof extensions / sizeof *extensions;
		i++) {
		strcpy(ret->path + length, extensions[i]);
		status = resolve_exactly(folder, ret, shown, err);
	}
	return status;
}

/* A growing list of NUL-ended names. */
struct names {
	char *text;
	size_t size, room, count;
	int failed; /* errno of what ended the listing */
};

static bool names_add(struct names *names, const char *name)
{
	size_t length = strlen(name) + 1;

	if (names->size + length > names->room) {
		size_t room = 2 * (names->room + length);
		char *text = realloc(names->text, room);

		if (!text) {
			names->failed = ENOMEM;
			return false;
		}
		names->text = text;
		names->room = room;
	}
	memcpy(names->text + names->size, name, length);
	names->size += length;
	names->count++;
	return true;
}

static bool image_extension(const char *name)
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++)
		if (!strcasecmp(dot, extensions[i]))
			return true;
	return false;
}

/* Whether a symbolic link leads to a regular file beneath the folder. */
static bool link_to_file(int folder, const char *path, const struct stat *link)
{
	AUTO_CLOSE int fd = S_ISLNK(link->st_mode) ? open_beneath(folder, path, 0) : -1;
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Adds what is in one folder, whose name (with a slash, or empty) is path[0..length). */
static bool list_folder(
	struct names *names, int folder, char *path, size_t size, size_t length, int depth)
{
	AUTO_CLOSEDIR DIR *directory = NULL;
	int fd = openat(
		folder, length ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;

	directory = fd >= 0 ? fdopendir(fd) : NULL;
	if (!directory) {
		bool scarce = errno == EMFILE || errno == ENFILE || errno == ENOMEM;

		if (scarce)
			names->failed = errno;
		if (fd >= 0)
			close(fd);
		return !scarce;
	}
	while ((entry = readdir(directory))) {
		size_t name = strlen(entry->d_name);
		struct stat status;

		if (entry->d_name[0] == '.' || length + name + 2 > size)
			continue;
		strcpy(path + length, entry->d_name);
		if (fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (image_extension(path) &&
			(S_ISREG(status.st_mode) || link_to_file(folder, path, &status)) &&
			!names_add(names, path))
			return false;
		if (S_ISDIR(status.st_mode) && depth < DEPTH_MAX) {
			strcpy(path + length + name, "/");
			if (!list_folder(names, folder, path, size, length + name + 1, depth + 1))
				return false;
		}
		path[length] = '\0';
	}
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Puts the names in order, in a block of their own. */
static char *sorted(const struct names *names)
{
	AUTO_FREE const char **index = malloc((names->count + 1) * sizeof *index);
	char *text = malloc(names->size + 1), *at = text;
	size_t count = 0;

	if (!index || !text) {
		free(text);
		return NULL;
	}
	for (size_t from = 0; from < names->size; from += strlen(names->text + from) + 1)
		index[count++] = names->text + from;
	qsort(index, count, sizeof *index, compare_names);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, index[i]) + 1;
	return text;
}

int files_list(int folder, char **ret, size_t *ret_size, struct error *err)
{
	struct names names = {0};
	char path[1025] = "", *text = NULL;

	if (list_folder(&names, folder, path, sizeof path, 0, 0))
		text = sorted(&names);
	free(names.text);
	if (!text)
		return error_os(
			err, names.failed ? names.failed : ENOMEM, "cannot list the served folder");
	*ret = text;
	*ret_size = names.size;
	return STATUS_OK;
}
