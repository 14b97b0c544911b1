/*
 * The files of /dev/shm, which are what POSIX shared memory and named semaphores are made of: who
 * may write there may put anything under any name and exchange it at any time. So a file is opened
 * only if it is a regular one, and known by its identity afterwards, never by its name.
 *
 * A `file` is a path below SHM_DIRECTORY, without a slash in front.
 */
#pragma once

#include "shm/names.h"

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Which file it is, whatever its name. */
struct file_id {
	dev_t device;
	ino_t inode;
};

static inline struct file_id file_id_of(const struct stat *status)
{
	return (struct file_id){.device = status->st_dev, .inode = status->st_ino};
}

static inline bool file_id_equal(struct file_id a, struct file_id b)
{
	return a.device == b.device && a.inode == b.inode;
}

/* Who may open an object, whatever the umask says. */
struct access {
	mode_t mode; /* permission bits */
	gid_t group; /* (gid_t)-1: the process's own */
};

/* For what others may read, and only read; the owner must be able to write. */
static inline struct access access_read_only(const struct access *access)
{
	return (struct access){.mode = (access->mode & 0444) | 0600, .group = access->group};
}

/* lstat of it: 0, or -1 with errno. */
int shm_file_look(const char *file, struct stat *ret_status);

/* Whether that name leads to that file. */
bool shm_file_is(const char *file, struct file_id id);

/*
 * Opens a regular file with `flags` (O_RDONLY or O_RDWR); what else may stand there is never
 * opened. The descriptor, or -1 with errno: ELOOP for a symbolic link, EINVAL for what is no
 * regular file either, ESTALE if the name was given to another file again and again meanwhile.
 */
int shm_file_open(const char *file, int flags, struct stat *ret_status);

/* Opens for reading what readdir said is a regular file, and nobody has looked at since.
 * `directory`: an open SHM_DIRECTORY, which spares the way there. */
int shm_file_open_in(int directory, const char *file);

/* Opens for reading what was seen to be a regular file, with a call less; ESTALE if the name leads to
 * another one by now. `directory` as above. */
int shm_file_open_again(int directory, const char *file, struct file_id id);

/* What a mode says of a file: "a symbolic link", "a directory", ... */
const char *file_kind_text(mode_t mode);

/* Opens an unnamed file (O_TMPFILE) with the access asked for; -1 with errno. */
int shm_file_unnamed(const struct access *access);

/* Gives an unnamed file its name. 0, or an errno: EEXIST if it is taken. */
int shm_file_link(int fd, const char *file);

/* Unlinks the name if it still leads to that file; 0, or an errno: ENOENT if it is gone or
 * another's by now. */
int shm_file_unlink(const char *file, struct file_id id);

/*
 * The same for names that programs without locks may give to another file at any moment, also in the
 * one between the look and the unlinking: the kernel has no call for both. The file is taken aside
 * first, as shmsem-removes-<pid>, and gets its name back if it is another. A process that looks for
 * it meanwhile does not find it.
 */
int shm_file_remove(const char *file, struct file_id id);

/*
 * Calls `look` with each entry of a folder ("." and ".." too), in no order, until it returns other
 * than 0, which is then the result. 0 at the end, or -1 with errno if the folder cannot be read.
 * `at` and `folder` as openat takes them; `directory` is for fstatat.
 */
int shm_file_walk(int at, const char *folder,
	int (*look)(void *context, int directory, const struct dirent *entry), void *context);
