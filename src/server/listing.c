#include "server/listing.h"

#include "base/cleanup.h"
#include "server/files.h"
#include "server/listed.h"
#include "server/shard_name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
	size_t mounts;   /* names of mounts among them */
	char path[1025]; /* of the entry that is looked at, below the root */
};

/*
 * Whether a symbolic link leads to a regular file beneath the root. One on another mount is not
 * waited for: where the kernel does not know it without asking, the name stays in the list.
 */
static bool leads_to_file(struct listing *listing)
{
	AUTO_CLOSE int fd = files_open_beneath(listing->root, listing->path, RESOLVE_NO_XDEV);
	struct stat status;

	/* If the clock has ticked since the link was followed, its time of access may be due again, which
	 * keeps a link that leads out from being told by what is cached: it is followed once more. */
	for (int tries = 0; fd < 0 && errno == EXDEV; tries++) {
		if (tries == 2 || !files_cached(listing->root, listing->path))
			return tries == 2;
		fd = files_open_beneath(listing->root, listing->path, RESOLVE_NO_XDEV);
	}
	if (fd < 0 && errno == EAGAIN)
		listing->names.failed = EAGAIN;
	return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* What could not be opened is left out, unless it is we who lack something: false. */
static bool leave_out(struct listing *listing, int failed)
{
	if (failed == EMFILE || failed == ENFILE || failed == ENOMEM)
		listing->names.failed = failed;
	return !listing->names.failed;
}

/* Adds what stands for the names in the shard at listing->path. */
static bool list_shard(struct listing *listing)
{
	size_t length = strlen(listing->path);
	bool go_on;

	if (length + sizeof "/" LISTED_MEMBERS > sizeof listing->path)
		return true;
	strcpy(listing->path + length, "/" LISTED_MEMBERS);
	go_on = names_add(&listing->names, listing->path);
	listing->path[length] = '\0';
	return go_on;
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
	size_t size = strlen(entry->d_name), end = length + size;
	bool shard = shard_name_ends(entry->d_name, size);
	unsigned char type = entry_type(folder, entry);

	switch (type) {
	case DT_REG:
	case DT_LNK:
		if (!shard && !files_image_extension(entry->d_name))
			return true;
		if (type == DT_LNK && !leads_to_file(listing))
			return !listing->names.failed;
		return shard ? list_shard(listing) : names_add(&listing->names, listing->path);
	case DT_DIR:
		if (depth == DEPTH_MAX)
			return true;
		strcpy(listing->path + end, "/");
		return list_folder(listing, folder, entry->d_name, end + 1, depth + 1);
	default:
		return true;
	}
}

/* Opens the folder `name` of `parent`; -1 with errno: EXDEV if something is mounted there. */
static int open_folder(int parent, const char *name, uint64_t resolve)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | resolve};

	return (int)syscall(SYS_openat2, parent, name, &how, sizeof how);
}

/* Adds what is in the folder, whose descriptor it takes, and which is listing->path[0..length). */
static bool read_folder(struct listing *listing, int folder, size_t length, int depth)
{
	AUTO_CLOSEDIR DIR *directory = fdopendir(folder);
	struct dirent *entry;

	if (!directory) {
		listing->names.failed = errno;
		close(folder);
		return false;
	}
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

/*
 * The same for a folder of `parent`, which is opened from there: a path from the root could lead
 * elsewhere if a folder on it became a symbolic link meanwhile. Where something is mounted, its
 * name is added, with the '/' behind it.
 */
static bool list_folder(
	struct listing *listing, int parent, const char *name, size_t length, int depth)
{
	int fd = open_folder(parent, name, RESOLVE_NO_XDEV);

	if (fd >= 0)
		return read_folder(listing, fd, length, depth);
	if (errno == EXDEV) {
		listing->mounts++;
		return names_add(&listing->names, listing->path);
	}
	return leave_out(listing, errno);
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

int listing_read(int folder, const char *path, char **ret, size_t *ret_size, size_t *ret_mounts,
	struct error *err)
{
	struct listing listing = {.root = folder};
	struct names *names = &listing.names;
	size_t length = strlen(path);
	int fd;
	bool done;
	char *text;

	if (length >= sizeof listing.path)
		return error_os(err, ENAMETOOLONG, "cannot list the served folder");
	strcpy(listing.path, path);
	fd = open_folder(folder, *path ? path : ".", 0);
	if (fd < 0 && errno == ENOTDIR && length && shard_name_ends(path, length - 1)) {
		listing.path[length - 1] = '\0';
		done = list_shard(&listing);
	} else if (fd < 0) {
		return error_os(err, errno, "cannot list the served folder");
	} else {
		done = read_folder(&listing, fd, length, 0);
	}
	text = done ? sorted(names) : NULL;
	free(names->text);
	if (!text)
		return error_os(err, names->failed ? names->failed : ENOMEM,
			"cannot list the served folder");
	*ret = text;
	*ret_size = names->size;
	*ret_mounts = listing.mounts;
	return STATUS_OK;
}
