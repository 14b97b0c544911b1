#include "cli/doctor.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "inventory/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_SECONDS 3

static bool is_remote(const char *type)
{
	static const char *const types[] = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs",
		"lustre", "gfs2", "ocfs2", NULL};

	for (size_t i = 0; types[i]; i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

static void examine(struct findings *findings, const char *folder)
{
	AUTO_MOUNTS struct mounts mounts = {0};
	const struct mount *mount;
	struct stat status;
	AUTO_CLOSEDIR DIR *directory = NULL;
	bool there = stat(folder, &status) == 0;

	if (there && !S_ISDIR(status.st_mode)) {
		finding_add(findings, "folder", FINDING_BAD, "is no folder");
		return;
	}
	if (!there || access(folder, R_OK | X_OK) != 0) {
		finding_add(findings, "folder", FINDING_BAD, "cannot be read: %s", strerror(errno));
		return;
	}
	/* What is known of the folder itself may be cached; its names come from who serves it. */
	directory = opendir(folder);
	errno = directory ? 0 : errno;
	if (!directory || (!readdir(directory) && errno)) {
		finding_add(
			findings, "folder", FINDING_BAD, "cannot be listed: %s", strerror(errno));
		return;
	}
	mounts_read(&mounts);
	mount = mounts_of(&mounts, folder);
	if (!mount)
		finding_add(findings, "folder", FINDING_WARNING,
			"cannot tell what file system it is on");
	else if (!strncmp(mount->type, "fuse", 4) || is_remote(mount->type))
		finding_remedy(finding_add(findings, "folder", FINDING_WARNING,
				       "on %s (%s), which tells nothing of changes elsewhere: each "
				       "request asks it whether the file changed, and waits if it "
				       "hangs",
				       mount->type, mount->path),
			"a copy on a local disk where speed counts");
	else
		finding_add(findings, "folder", FINDING_OK, "on %s (%s)%s", mount->type,
			mount->path, mount->read_only ? ", mounted read-only here" : "");
}

/* What a child finds, which may hang in a call to a file server that is dead: -1 if nothing comes of
 * it in time. */
static int examine_in_child(const char *folder, struct finding *ret)
{
	struct pollfd answer = {.events = POLLIN};
	int ends[2], found = -1;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	child = fork();
	if (!child) {
		struct findings findings = {0};

		/* Nobody who reads our output waits for one that hangs. */
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			close(fd);
		examine(&findings, folder);
		_exit(write_full(ends[1], &findings.items[0], sizeof *ret) != 0);
	}
	close(ends[1]);
	answer.fd = ends[0];
	if (child > 0 && poll(&answer, 1, ANSWER_SECONDS * 1000) == 1 &&
		read_full(ends[0], ret, sizeof *ret) == (ssize_t)sizeof *ret)
		found = 0;
	close(ends[0]);
	/* One that hangs may not even be killed; it is not waited for. */
	if (child > 0 && found)
		kill(child, SIGKILL);
	else if (child > 0)
		waitpid(child, NULL, 0);
	return found;
}

void doctor_folder(struct findings *findings, const char *folder)
{
	struct finding found;

	if (examine_in_child(folder, &found) == 0)
		findings->items[findings->count++] = found;
	else
		finding_remedy(finding_add(findings, "folder", FINDING_BAD,
				       "does not answer within %d s: requests for its files would "
				       "wait as long as it hangs",
				       ANSWER_SECONDS),
			"restart what serves that file system, or 'umount -l' it");
}
