#include "base/cgroup.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* False where there is no such file. */
static bool read_text(const char *path, char *text, size_t size)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read_full(fd, text, size - 1);

	if (length < 0)
		return false;
	text[length] = '\0';
	return true;
}

/* "max", or a number of bytes. */
static uint64_t read_limit(const char *path)
{
	char text[32];

	if (!read_text(path, text, sizeof text) || text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

uint64_t cgroup_memory_limit(const char *root)
{
	char path[PATH_MAX], text[PATH_MAX], *group, *end;
	uint64_t limit = UINT64_MAX;

	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	if (!read_text(path, text, sizeof text) || !(group = strstr(text, "0::/")))
		return limit;
	group += strlen("0::");
	group[strcspn(group, "\n")] = '\0';
	/* What holds for a group holds for those within. */
	do {
		char file[2 * PATH_MAX];
		uint64_t one;

		snprintf(file, sizeof file, "%s/sys/fs/cgroup%s/memory.max", root, group);
		one = read_limit(file);
		if (one < limit)
			limit = one;
		end = strrchr(group, '/');
		if (end)
			*end = '\0';
	} while (end);
	return limit;
}
