#include "cli/inotify_use.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first limits every user of the host, the second those of a user namespace. */
#define INSTANCES_FILE      "/proc/sys/fs/inotify/max_user_instances"
#define INSTANCES_NAMESPACE "/proc/sys/user/max_inotify_instances"
#define WATCHES_FILE        "/proc/sys/fs/inotify/max_user_watches"
#define WATCHES_NAMESPACE   "/proc/sys/user/max_inotify_watches"
#define INSTANCE_LINK       "anon_inode:inotify"
#define WATCH_LINE          "inotify wd:"

/* UINT64_MAX where the kernel does not say. */
static uint64_t read_number(const char *path)
{
	char text[32] = "";
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read_full(fd, text, sizeof text - 1) <= 0)
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

static uint64_t read_limit(const char *path, const char *of_namespace)
{
	uint64_t user = read_number(path), space = read_number(of_namespace);

	return user < space ? user : space;
}

/* A line of fdinfo for each watch. */
static uint64_t count_watches(int process, const char *number)
{
	char path[32], line[512];
	uint64_t watches = 0;
	FILE *file;
	int fd;

	snprintf(path, sizeof path, "fdinfo/%.16s", number);
	fd = openat(process, path, O_RDONLY | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (fgets(line, sizeof line, file))
		watches += !strncmp(line, WATCH_LINE, strlen(WATCH_LINE));
	fclose(file);
	return watches;
}

static void count_process(struct inotify_use *use, int process, pid_t pid)
{
	int folder = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *directory = folder < 0 ? NULL : fdopendir(folder);
	uint64_t instances = 0, watches = 0;

	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		char link[sizeof INSTANCE_LINK];
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, link, sizeof link);

		if (length != (ssize_t)strlen(INSTANCE_LINK) ||
			memcmp(link, INSTANCE_LINK, strlen(INSTANCE_LINK)) != 0)
			continue;
		instances++;
		watches += count_watches(process, entry->d_name);
	}
	use->instances += instances;
	use->watches += watches;
	if (instances > use->max_instances) {
		use->max_instances = instances;
		use->most = pid;
	}
	if (watches > use->max_watches) {
		use->max_watches = watches;
		use->max_watching = pid;
	}
}

struct inotify_use inotify_use_read(void)
{
	struct inotify_use use = {.instances_max = read_limit(INSTANCES_FILE, INSTANCES_NAMESPACE),
		.watches_max = read_limit(WATCHES_FILE, WATCHES_NAMESPACE)};
	AUTO_CLOSEDIR DIR *proc = opendir("/proc");
	AUTO_CLOSE int instance = -1;

	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		AUTO_CLOSE int process = -1;
		struct stat status;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		process = openat(dirfd(proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process >= 0 && fstat(process, &status) == 0 && status.st_uid == geteuid())
			count_process(&use, process, atoi(entry->d_name));
	}
	instance = inotify_init1(IN_CLOEXEC);
	use.failed = instance < 0 ? errno : 0;
	return use;
}
