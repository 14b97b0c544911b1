#include "shm/shm_file.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_SIZE (sizeof SHM_DIRECTORY + NAME_MAX + 1)

/* How often a name that is given to another file while we open it is tried. */
#define TRIES 10

static const char *path_of(const char *file, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%s", SHM_DIRECTORY, file);
	return path;
}

int shm_file_look(const char *file, struct stat *ret_status)
{
	char path[PATH_SIZE];

	return lstat(path_of(file, path), ret_status);
}

bool shm_file_is(const char *file, struct file_id id)
{
	struct stat status;

	return shm_file_look(file, &status) == 0 && file_id_equal(file_id_of(&status), id);
}

/* A FIFO that stands there by now does not make it wait. */
static int open_unfollowed(int directory, const char *path, int flags)
{
	return fd_above_standard(
		openat(directory, path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

static int open_once(const char *path, int flags, struct stat *ret_status)
{
	AUTO_CLOSE int fd = -1;
	struct stat before, after;

	/* The mere opening of a FIFO would wake a process that waits at its other end. */
	if (lstat(path, &before) != 0)
		return -1;
	if (!S_ISREG(before.st_mode)) {
		errno = S_ISLNK(before.st_mode) ? ELOOP : EINVAL;
		return -1;
	}
	fd = open_unfollowed(AT_FDCWD, path, flags);
	if (fd < 0 || fstat(fd, &after) != 0)
		return -1;
	if (!file_id_equal(file_id_of(&after), file_id_of(&before))) {
		errno = ESTALE;
		return -1;
	}
	*ret_status = after;
	return steal_fd(&fd);
}

int shm_file_open(const char *file, int flags, struct stat *ret_status)
{
	char path[PATH_SIZE];
	int fd = -1;

	path_of(file, path);
	errno = ESTALE;
	for (unsigned left = TRIES; left-- > 0 && fd < 0 && errno == ESTALE;)
		fd = open_once(path, flags, ret_status);
	return fd;
}

int shm_file_open_in(int directory, const char *file)
{
	return open_unfollowed(directory, file, O_RDONLY);
}

int shm_file_open_again(int directory, const char *file, struct file_id id)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open_in(directory, file);

	if (fd < 0 || fstat(fd, &status) != 0)
		return -1;
	if (!file_id_equal(file_id_of(&status), id)) {
		errno = ESTALE;
		return -1;
	}
	return steal_fd(&fd);
}

const char *file_kind_text(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a named pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

int shm_file_unnamed(const struct access *access)
{
	AUTO_CLOSE int fd = fd_above_standard(
		open(SHM_DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));

	if (fd < 0)
		return -1;
	if (access->group != (gid_t)-1 && fchown(fd, (uid_t)-1, access->group) != 0)
		return -1;
	if (fchmod(fd, access->mode) != 0)
		return -1;
	return steal_fd(&fd);
}

int shm_file_link(int fd, const char *file)
{
	char self[32], path[PATH_SIZE];

	path_of(file, path);
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	/* No /proc: the kernel lets the opener, or the privileged, link by descriptor. */
	if (errno == ENOENT && linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0)
		return 0;
	return errno;
}

int shm_file_unlink(const char *file, struct file_id id)
{
	char path[PATH_SIZE];
	struct stat status;

	if (lstat(path_of(file, path), &status) != 0)
		return errno;
	if (!file_id_equal(file_id_of(&status), id))
		return ENOENT;
	return unlink(path) == 0 ? 0 : errno;
}

/* A name in the same folder. */
static const char *aside_of(const char *path, char aside[PATH_SIZE + 32])
{
	const char *name = strrchr(path, '/') + 1;

	snprintf(aside, PATH_SIZE + 32, "%.*sshmsem-removes-%d", (int)(name - path), path,
		(int)getpid());
	return aside;
}

/* As renameat2(2) in one folder, which not every libc has. */
static int rename_noreplace(const char *from, const char *to)
{
#ifdef RENAME_NOREPLACE
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
#else
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1U << 0);
#endif
}

int shm_file_remove(const char *file, struct file_id id)
{
	char path[PATH_SIZE], aside[PATH_SIZE + 32];
	struct stat status;

	if (!shm_file_is(file, id))
		return ENOENT;
	aside_of(path_of(file, path), aside);
	if (rename_noreplace(path, aside) != 0)
		return errno;
	if (lstat(aside, &status) == 0 && file_id_equal(file_id_of(&status), id))
		return unlink(aside) == 0 ? 0 : errno;
	/* If its name is another's by now, nobody would find it here. */
	if (rename_noreplace(aside, path) != 0)
		unlink(aside);
	return ENOENT;
}

int shm_file_walk(int at, const char *folder,
	int (*look)(void *context, int directory, const struct dirent *entry), void *context)
{
	/* /dev/shm itself may be a link, to /run/shm. */
	int follow = at == AT_FDCWD ? 0 : O_NOFOLLOW;
	int fd = openat(at, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
	AUTO_CLOSEDIR DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int result = 0;

	if (!directory && fd >= 0)
		close(fd);
	if (!directory)
		return -1;
	for (struct dirent *entry; !result && (entry = readdir(directory));)
		result = look(context, dirfd(directory), entry);
	return result;
}
