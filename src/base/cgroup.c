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

/* "max", or a number of bytes, which version 1 has one beyond any memory for. */
static uint64_t read_limit(const char *path)
{
	uint64_t limit;
	char text[32];

	if (!read_text(path, text, sizeof text) || text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	limit = strtoull(text, NULL, 10);
	return limit > INT64_MAX / 2 ? UINT64_MAX : limit;
}

/* The limits of a group, and of those around it, which hold for it, too. */
static uint64_t lowest_limit(const char *folder, char *group, const char *file)
{
	uint64_t limit = UINT64_MAX;
	char *end;

	do {
		char path[2 * PATH_MAX];
		uint64_t one;

		snprintf(path, sizeof path, "%s%s/%s", folder, group, file);
		one = read_limit(path);
		if (one < limit)
			limit = one;
		end = strrchr(group, '/');
		if (end)
			*end = '\0';
	} while (end);
	return limit;
}

uint64_t cgroup_memory_limit(const char *root)
{
	static const struct {
		const char *line, *folder, *file;
	} versions[] = {{"0::/", "/sys/fs/cgroup", "memory.max"},
		{":memory:/", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"}};
	char groups[PATH_MAX], folder[PATH_MAX], text[PATH_MAX];
	uint64_t limit = UINT64_MAX;

	snprintf(groups, sizeof groups, "%s/proc/self/cgroup", root);
	for (size_t i = 0; i < 2; i++) {
		char *group;
		uint64_t one;

		if (!read_text(groups, text, sizeof text) ||
			!(group = strstr(text, versions[i].line)))
			continue;
		group += strlen(versions[i].line) - 1;
		group[strcspn(group, "\n")] = '\0';
		snprintf(folder, sizeof folder, "%s%s", root, versions[i].folder);
		one = lowest_limit(folder, group, versions[i].file);
		if (one < limit)
			limit = one;
	}
	return limit;
}
