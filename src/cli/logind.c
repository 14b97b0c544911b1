#include "cli/logind.h"

#include "base/cleanup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What systemd and Debian take for the last uid of a system user; logind spares those. */
#define SYSTEM_UID_MAX 999

/* In the order of systemd-system.conf(5): a file of an earlier folder hides its namesakes. */
static const char *const folders[] = {
	"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"};

#define FOLDERS (sizeof folders / sizeof *folders)

static bool exists(const char *root, const char *folder, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
	return access(path, F_OK) == 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (!strcasecmp(word, *words))
			return true;
	return false;
}

/* Takes what a file says of RemoveIPC; what makes no sense is ignored, as logind does. */
static void read_file(const char *path, bool *removes)
{
	static const char *const yes[] = {"1", "yes", "y", "true", "t", "on", NULL};
	static const char *const no[] = {"0", "no", "n", "false", "f", "off", NULL};
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	char line[512], section[64] = "", value[64];

	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, " [%63[^]]]", section) == 1 || strcmp(section, "Login") ||
			sscanf(line, " RemoveIPC = %63s", value) != 1)
			continue;
		if (is_one_of(value, yes))
			*removes = true;
		else if (is_one_of(value, no))
			*removes = false;
	}
}

/* The first name by bytes after `last` that ends in ".conf"; false if the folder has none. */
static bool next_in_folder(const char *path, const char *last, char ret[NAME_MAX + 1])
{
	AUTO_CLOSEDIR DIR *folder = opendir(path);
	struct dirent *entry;
	bool found = false;

	while (folder && (entry = readdir(folder))) {
		size_t length = strlen(entry->d_name);

		if (length < 6 || strcmp(entry->d_name + length - 5, ".conf") ||
			strcmp(entry->d_name, last) <= 0 ||
			(found && strcmp(entry->d_name, ret) >= 0))
			continue;
		strcpy(ret, entry->d_name);
		found = true;
	}
	return found;
}

/* All drop-in files in the order of their names, whatever their folders. */
static void read_drop_ins(const char *root, bool *removes)
{
	char last[NAME_MAX + 1] = "", name[NAME_MAX + 1], least[NAME_MAX + 1];
	char folder[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];

	for (;;) {
		path[0] = '\0';
		for (size_t i = 0; i < FOLDERS; i++) {
			snprintf(folder, sizeof folder, "%s%s/logind.conf.d", root, folders[i]);
			if (!next_in_folder(folder, last, name) ||
				(path[0] && strcmp(name, least) >= 0))
				continue;
			strcpy(least, name);
			snprintf(path, sizeof path, "%s/%s", folder, name);
		}
		if (!path[0])
			return;
		read_file(path, removes);
		strcpy(last, least);
	}
}

static bool configured(const char *root)
{
	bool removes = true; /* where no file says anything */
	char path[PATH_MAX];
	size_t i = 0;

	while (i < FOLDERS && !exists(root, folders[i], "logind.conf"))
		i++;
	if (i < FOLDERS) {
		snprintf(path, sizeof path, "%s%s/logind.conf", root, folders[i]);
		read_file(path, &removes);
	}
	read_drop_ins(root, &removes);
	return removes;
}

enum logind_removal logind_removal(const char *root, uid_t uid, const char *user)
{
	char number[16];

	if (uid <= SYSTEM_UID_MAX || !exists(root, "/run/systemd", "system") ||
		!exists(root, "/run/systemd", "users") ||
		exists(root, "/var/lib/systemd/linger", user) || !configured(root))
		return LOGIND_KEEPS;
	snprintf(number, sizeof number, "%u", (unsigned)uid);
	return exists(root, "/run/systemd/users", number) ? LOGIND_LOGGED_IN : LOGIND_AWAY;
}
