#include "bench/temporary.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OLD_SECONDS 60
#define TRIES       8

static const char *temporary(void)
{
	const char *folder = getenv("TMPDIR");

	return folder && *folder ? folder : "/tmp";
}

/* False if another bench took the new folder for a leaving before we had its lock. */
static bool lock_folder(const char *path, int *ret_lock)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat about;

	if (fd < 0 || flock(fd, LOCK_EX) || fstat(fd, &about) || !about.st_nlink)
		return false;
	*ret_lock = steal_fd(&fd);
	return true;
}

int temporary_folder(char *path, size_t size, int *ret_lock, struct error *err)
{
	for (int i = 0; i < TRIES; i++) {
		if (snprintf(path, size, "%s/%sXXXXXX", temporary(), TEMPORARY_PREFIX) >=
			(int)size) {
			errno = ENAMETOOLONG;
			break;
		}
		if (!mkdtemp(path))
			break;
		if (lock_folder(path, ret_lock))
			return STATUS_OK;
		rmdir(path);
	}
	path[0] = '\0';
	return error_os(err, errno, "cannot make a folder for images");
}

/* With the folders in it, and what these have. */
static void remove_files(int folder)
{
	int again = fcntl(folder, F_DUPFD_CLOEXEC, 0);
	AUTO_CLOSEDIR DIR *files = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;

	if (again >= 0 && !files)
		close(again);
	while (files && (entry = readdir(files))) {
		AUTO_CLOSE int below = -1;

		if (entry->d_name[0] == '.' || !unlinkat(folder, entry->d_name, 0))
			continue;
		below = openat(
			folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue;
		remove_files(below);
		unlinkat(folder, entry->d_name, AT_REMOVEDIR);
	}
}

void temporary_remove_folder(const char *path, int *lock)
{
	remove_files(*lock);
	rmdir(path);
	cleanup_fd(lock);
}

static void cleanup_folder(int above, const char *name)
{
	AUTO_CLOSE int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return;
	remove_files(fd);
	unlinkat(above, name, AT_REMOVEDIR);
}

static bool is_ours(const char *name)
{
	/* Semaphores are files, too. */
	if (!strncmp(name, "sem.", strlen("sem.")))
		name += strlen("sem.");
	return !strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX));
}

static void cleanup_plan(const char *path)
{
	AUTO_CLOSEDIR DIR *folder = opendir(path);
	struct dirent *entry;
	struct stat about;

	while (folder && (entry = readdir(folder))) {
		if (!is_ours(entry->d_name) ||
			fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) ||
			about.st_uid != geteuid())
			continue;
		if (S_ISDIR(about.st_mode))
			cleanup_folder(dirfd(folder), entry->d_name);
		else if (time(NULL) - about.st_mtime > OLD_SECONDS)
			unlinkat(dirfd(folder), entry->d_name, 0);
	}
}

void temporary_remove_stale(void)
{
	cleanup_plan("/dev/shm");
	cleanup_plan(temporary());
}
