#include "shm/pids.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The inode number of the first PID namespace (Linux, include/linux/proc_ns.h). */
#define FIRST_PID_NAMESPACE 0xeffffffcU

const char *process_command(pid_t pid, char command[COMMAND_SIZE])
{
	char path[32];
	ssize_t length = -1;
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = fd_above_standard(open(path, O_RDONLY | O_CLOEXEC));
	if (fd >= 0)
		length = read_full(fd, command, COMMAND_SIZE - 1);
	if (length <= 0)
		return strcpy(command, "?");
	command[length] = '\0';
	command[strcspn(command, "\n")] = '\0';
	return command;
}

/*
 * /proc/PID/stat: "812 (name) Z 1 ..."; the name may hold any byte, also ')'. A process whose main
 * thread alone has ended looks like a zombie, too, but still counts its other threads (field 20).
 */
static bool is_zombie(const char *stat)
{
	const char *at = strrchr(stat, ')');
	char state;
	long threads;

	if (!at ||
		sscanf(at,
			") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld",
			&state, &threads) != 2)
		return false;
	return (state == 'Z' || state == 'X') && threads <= 1;
}

bool process_has_ended(pid_t pid)
{
	char path[32], text[512];
	AUTO_CLOSE int fd = -1;
	ssize_t length;

	if (kill(pid, 0) != 0 && errno == ESRCH)
		return true;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read_full(fd, text, sizeof text - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	return is_zombie(text);
}

static bool is_namespace(const char *path, ino_t inode)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_ino == inode;
}

bool pids_are_global(void)
{
	char self[16];
	ssize_t length = readlink("/proc/self", self, sizeof self - 1);

	if (length <= 0)
		return false;
	self[length] = '\0';
	return atoi(self) == getpid() && is_namespace("/proc/self/ns/pid", FIRST_PID_NAMESPACE);
}
