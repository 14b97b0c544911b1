#include "server/files.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "server/file_system.h"
#include "server/shard_name.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The coarsest clock by which kernels stamp files locally ticks every 10 ms. Some file systems keep
 * whole seconds of it only, and FAT every other one. */
#define RECENT_NS        (20 * (int64_t)NS_PER_MS)
#define RECENT_COARSE_NS (2 * (int64_t)NS_PER_SECOND + RECENT_NS)

/* How long an open is tried again that the kernel calls busy. */
#define OPEN_RETRY_NS (100 * NS_PER_MS)

#define NAME_SHOWN 256

static const char *const extensions[] = {".jpg", ".jpeg", ".png"};

static int64_t stamp(const struct statx_timestamp *time)
{
	return time->tv_sec * (int64_t)NS_PER_SECOND + time->tv_nsec;
}

static struct file_key key_of(const struct statx *status)
{
	return (struct file_key){.device = makedev(status->stx_dev_major, status->stx_dev_minor),
		.inode = status->stx_ino,
		.size = status->stx_size,
		.modified = stamp(&status->stx_mtime),
		.changed = stamp(&status->stx_ctime)};
}

/* Asks the file system itself: FUSE and NFS answer fstat(2) from a cache. 0, or -1 with errno. */
static int status_of(int fd, struct statx *ret)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, ret);
}

/* Whether a file that had that stamp at a moment not before `now` may change once more without
 * showing it. The clock of another host (not `local`) may differ from ours. */
static bool is_recent(int64_t changed, bool local, int64_t now)
{
	bool coarse = !local || changed % (int64_t)NS_PER_SECOND == 0;

	return changed > now - (coarse ? RECENT_COARSE_NS : RECENT_NS);
}

bool files_key(int fd, struct file_key *ret)
{
	struct statx status;

	if (status_of(fd, &status) != 0)
		return false;
	*ret = key_of(&status);
	return true;
}

bool files_one_name(int fd, const struct file_key *key)
{
	struct statx status;
	struct file_key now;

	if (status_of(fd, &status) != 0)
		return false;
	now = key_of(&status);
	return status.stx_nlink == 1 && !memcmp(&now, key, sizeof now);
}

int files_check(const struct resolved *file, uint64_t most, struct error *err)
{
	char limit[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE], shown[NAME_SHOWN];

	text_escape(file->path, strlen(file->path), shown, sizeof shown);
	if (!file->size)
		return error_set(err, STATUS_BAD_DATA, "%s: the file is empty", shown);
	if (most && file->size > most)
		return error_set(err, STATUS_BAD_DATA,
			"%s: a file of %s is over the limit of %s (serve --max-file)", shown,
			format_size(file->size, have), format_size(most, limit));
	return STATUS_OK;
}

/*
 * openat2(2) gives EAGAIN where a symbolic link on the way has "..", and anything on the host is
 * renamed or mounted in the same moment; for as long as somebody else breaks a lease of the file;
 * and for what RESOLVE_CACHED rules out. The first passes at once.
 */
static int open_beneath(int folder, const char *path, uint64_t resolve, uint64_t retry_ns)
{
	struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve};
	uint64_t deadline = 0;
	int fd;

	for (;;) {
		fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
		if (fd >= 0 || errno != EAGAIN || !retry_ns)
			return fd;
		if (!deadline)
			deadline = deadline_after(retry_ns);
		else if (clock_now() >= deadline)
			break;
		sched_yield();
	}
	errno = EAGAIN;
	return -1;
}

int files_open_beneath(int folder, const char *path, uint64_t resolve)
{
	return open_beneath(folder, path, resolve, OPEN_RETRY_NS);
}

bool files_cached(int folder, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED};
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
	struct statx status;

	if (fd < 0)
		return errno == EAGAIN;
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
	       S_ISREG(status.stx_mode);
}

bool files_unchanged(int folder, const char *path, uint64_t resolve, const struct file_key *key)
{
	AUTO_CLOSE int fd = open_beneath(folder, path, resolve, 0);
	struct file_key now;

	return fd >= 0 && files_key(fd, &now) && !memcmp(&now, key, sizeof now);
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

bool files_has_extension(const char *name)
{
	const char *base = strrchr(name, '/');

	return strchr(base ? base + 1 : name, '.') != NULL;
}

const char *files_extension(unsigned number)
{
	return number < sizeof extensions / sizeof *extensions ? extensions[number] : NULL;
}

/* Why `path` could not be opened, by errno. */
static int open_failed(int os_error, const char *path, const char *shown, struct error *err)
{
	bool compressed = os_error == ENOTDIR && shard_name_compressed(path);

	if (compressed)
		return error_set(err, STATUS_BAD_DATA,
			"%s: lies in a compressed file; only plain tar files are served", shown);
	switch (os_error) {
	case ENOENT:
	case ENOTDIR:
		return error_set(err, STATUS_NOT_FOUND, "%s: no such image", shown);
	case EXDEV:
		return error_set(
			err, STATUS_NOT_FOUND, "%s: leads out of the served folder", shown);
	case ENAMETOOLONG:
		return error_set(err, STATUS_NOT_FOUND, "%s: the name is too long", shown);
	case EINVAL: /* of file systems to whose character set it does not belong */
	case EILSEQ:
		return error_set(err, STATUS_NOT_FOUND,
			"%s: the file system does not allow such a name", shown);
	case ENXIO:
	case ENODEV:
	case ENOMEDIUM:
	case ELOOP:
		return error_set(
			err, STATUS_NOT_FOUND, "%s: cannot be opened as a regular file", shown);
	case EAGAIN:
		return error_set_os(err, STATUS_TRY_AGAIN, EAGAIN,
			"%s: another program keeps the file busy (a lease); ask again", shown);
	case ENOSYS:
		return error_set(err, STATUS_INTERNAL,
			"%s: the kernel has no openat2(2), which Linux 5.6 brought", shown);
	default:
		return error_os(err, os_error, "%s: cannot be opened", shown);
	}
}

/* Opens a path beneath the folder; -1 with errno. */
static int open_path(int folder, const char *path, const struct files_rules *rules, bool *linked)
{
	int fd = open_beneath(folder, path, rules->resolve | RESOLVE_NO_SYMLINKS, rules->retry_ns);

	if (fd >= 0 || errno != ELOOP)
		return fd;
	*linked = true;
	return open_beneath(folder, path, rules->resolve, rules->retry_ns);
}

/* Opens the shard that ret->path leads into: the first part of it that may be one and is no folder.
 * -1 with errno, that of the whole path if there is none. */
static int open_shard(
	int folder, const struct files_rules *rules, struct resolved *ret, bool *linked)
{
	char part[sizeof ret->path];
	int failed = errno;
	struct stat status;

	for (size_t at = 0; (at = shard_name_part(ret->path, at));) {
		AUTO_CLOSE int fd = -1;

		memcpy(part, ret->path, at);
		part[at] = '\0';
		fd = open_path(folder, part, rules, linked);
		if (fd < 0)
			return -1;
		if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
			ret->shard = at;
			return steal_fd(&fd);
		}
	}
	errno = failed;
	return -1;
}

/* Opens ret->path; the status says why it is not to be served. `linked`: a link was on the way to what
 * was looked for before; nobody tells when that is there. */
static int resolve_exactly(int folder, const struct files_rules *rules, struct resolved *ret,
	bool *linked, const char *shown, struct error *err)
{
	AUTO_CLOSE int fd = open_path(folder, ret->path, rules, linked);
	struct timespec now;
	struct statx status;
	bool local;

	/* The kernel may say EAGAIN for it where it may not ask a file system. */
	if (fd < 0 && (errno == ENOTDIR || errno == EAGAIN))
		fd = open_shard(folder, rules, ret, linked);
	if (fd < 0) {
		if (errno == EAGAIN || (errno == EXDEV && rules->resolve & RESOLVE_NO_XDEV))
			ret->refused = errno;
		return open_failed(errno, ret->path, shown, err);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (status_of(fd, &status) != 0)
		return error_os(err, errno, "%s: cannot be examined", shown);
	if (!S_ISREG(status.stx_mode))
		return error_set(err, STATUS_NOT_FOUND, "%s: not a regular file", shown);
	if (!ret->shard && shard_name_ends(ret->path, strlen(ret->path)))
		return error_set(err, STATUS_BAD_DATA,
			"%s: is a tar shard; its members are %s/NAME", shown, shown);
	/* Of this file: one of another file system can be mounted into a local folder. */
	local = file_system_local(fd);
	ret->key = key_of(&status);
	ret->offset = 0;
	ret->size = ret->key.size;
	ret->recent = is_recent(
		ret->key.changed, local, now.tv_sec * (int64_t)NS_PER_SECOND + now.tv_nsec);
	ret->watchable = local && !*linked && status.stx_nlink == 1;
	ret->fd = steal_fd(&fd);
	return STATUS_OK;
}

static bool is_folder(int folder, const char *name, const struct files_rules *rules)
{
	bool linked;
	AUTO_CLOSE int fd = open_path(folder, name, rules, &linked);
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_plain_with_slash(const char *name, size_t length)
{
	char plain[sizeof((struct resolved *)NULL)->path];

	if (length < 2 || length > sizeof plain || name[length - 1] != '/')
		return false;
	memcpy(plain, name, length - 1);
	plain[length - 1] = '\0';
	return files_name_plain(plain);
}

int files_resolve_by(int folder, const char *name, const struct files_rules *rules,
	struct resolved *ret, struct error *err)
{
	char shown[NAME_SHOWN];
	size_t length = strlen(name);
	bool linked = false;
	int status;

	ret->refused = 0;
	ret->shard = 0;
	text_escape(rules->shown ? rules->shown : name, strlen(rules->shown ? rules->shown : name),
		shown, sizeof shown);
	ret->path[0] = '\0';
	if (is_plain_with_slash(name, length))
		return error_set(err, STATUS_NOT_FOUND,
			"%s: a name does not end in '/'; an image of a folder is FOLDER/NAME",
			shown);
	if (!files_name_plain(name))
		return error_set(err, STATUS_NOT_FOUND,
			"%s: not a name beneath the served folder (no leading '/', no empty, '.' "
			"or '..' part)",
			shown);
	if (length + sizeof ".jpeg" > sizeof ret->path)
		return error_set(err, STATUS_NOT_FOUND, "%s: the name is too long", shown);
	strcpy(ret->path, name);
	ret->opened_at = clock_now();
	status = resolve_exactly(folder, rules, ret, &linked, shown, err);
	for (size_t i = 0; status == STATUS_NOT_FOUND && !ret->refused && !ret->shard &&
			   !files_has_extension(name) && i < sizeof extensions / sizeof *extensions;
		i++) {
		strcpy(ret->path + length, extensions[i]);
		status = resolve_exactly(folder, rules, ret, &linked, shown, err);
	}
	if (status == STATUS_NOT_FOUND && !ret->refused && is_folder(folder, name, rules))
		return error_set(err, STATUS_NOT_FOUND, "%s: is a folder; its images are %s/NAME",
			shown, shown);
	return status;
}

int files_resolve(int folder, const char *name, struct resolved *ret, struct error *err)
{
	const struct files_rules rules = {.retry_ns = OPEN_RETRY_NS};

	return files_resolve_by(folder, name, &rules, ret, err);
}

bool files_image_extension(const char *name)
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++)
		if (!strcasecmp(dot, extensions[i]))
			return true;
	return false;
}
