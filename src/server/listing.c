#include "server/listing.h"

#include "base/cleanup.h"
#include "server/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders within folders. */
#define DEPTH_MAX 32

/* A growing list of NUL-ended names. */
struct names {
	char *text;
	size_t size, room, count;
	int failed; /* errno of what ended the listing */
};

static bool names_add(struct names *names, const char *name)
{
	size_t length = strlen(name) + 1;

	if (names->size + length > names->room) {
		size_t room = 2 * (names->room + length);
		char *text = realloc(names->text, room);

		if (!text) {
			names->failed = ENOMEM;
			return false;
		}
		names->text = text;
		names->room = room;
	}
	memcpy(names->text + names->size, name, length);
	names->size += length;
	names->count++;
	return true;
}

/* A listing under way. */
struct listing {
	int root;
	struct names names;
	char path[1025]; /* of the entry that is looked at, below the root */
};

/* Whether a symbolic link leads to a regular file beneath the root. */
static bool leads_to_file(struct listing *listing)
{
	AUTO_CLOSE int fd = files_open_beneath(listing->root, listing->path, 0);
	struct stat status;

	if (fd < 0 && errno == EAGAIN)
		listing->names.failed = EAGAIN;
	return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* The type of an entry of `folder` (DT_*), symbolic links not followed; DT_UNKNOWN: gone. */
static unsigned char entry_type(int folder, const struct dirent *entry)
{
	struct stat status;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return DT_UNKNOWN;
	return (unsigned char)IFTODT(status.st_mode);
}

static bool list_folder(
	struct listing *listing, int parent, const char *name, size_t length, int depth);

/* Adds the entry at listing->path, whose last part begins at `length`; false: cannot go on. */
static bool list_entry(
	struct listing *listing, int folder, const struct dirent *entry, size_t length, int depth)
{
	size_t end = length + strlen(entry->d_name);

	switch (entry_type(folder, entry)) {
	case DT_REG:
		return !files_image_extension(entry->d_name) ||
		       names_add(&listing->names, listing->path);
	case DT_LNK:
		if (!files_image_extension(entry->d_name) || !leads_to_file(listing))
			return !listing->names.failed;
		return names_add(&listing->names, listing->path);
	case DT_DIR:
		if (depth == DEPTH_MAX)
			return true;
		strcpy(listing->path + end, "/");
		return list_folder(listing, folder, entry->d_name, end + 1, depth + 1);
	default:
		return true;
	}
}

/*
 * Adds what is in the folder `name` of `parent`, which is listing->path[0..length). Each folder is
 * opened from the one above it: a path from the root could lead elsewhere if a folder on it became
 * a symbolic link meanwhile.
 */
static bool list_folder(
	struct listing *listing, int parent, const char *name, size_t length, int depth)
{
	AUTO_CLOSEDIR DIR *directory = NULL;
	AUTO_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;

	directory = fd >= 0 ? fdopendir(fd) : NULL;
	if (!directory) {
		bool scarce = errno == EMFILE || errno == ENFILE || errno == ENOMEM;

		if (scarce)
			listing->names.failed = errno;
		return !scarce;
	}
	steal_fd(&fd);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.' ||
			length + strlen(entry->d_name) + 2 > sizeof listing->path)
			continue;
		strcpy(listing->path + length, entry->d_name);
		if (!list_entry(listing, dirfd(directory), entry, length, depth))
			return false;
		listing->path[length] = '\0';
	}
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Puts the names in order, in a block of their own. */
static char *sorted(const struct names *names)
{
	AUTO_FREE const char **index = malloc((names->count + 1) * sizeof *index);
	char *text = malloc(names->size + 1), *at = text;
	size_t count = 0;

	if (!index || !text) {
		free(text);
		return NULL;
	}
	for (size_t from = 0; from < names->size; from += strlen(names->text + from) + 1)
		index[count++] = names->text + from;
	qsort(index, count, sizeof *index, compare_names);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, index[i]) + 1;
	return text;
}

int listing_read(int folder, char **ret, size_t *ret_size, struct error *err)
{
	struct listing listing = {.root = folder};
	struct names *names = &listing.names;
	char *text = list_folder(&listing, folder, ".", 0, 0) ? sorted(names) : NULL;

	free(names->text);
	if (!text)
		return error_os(err, names->failed ? names->failed : ENOMEM,
			"cannot list the served folder");
	*ret = text;
	*ret_size = names->size;
	return STATUS_OK;
}
