#include "cli/replace.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of temporary names; a process that has this pid, too, left the file when it died. */
#define TRIES_MAX 100

int replacement_error(int os_error, const char *path, struct error *err)
{
	char shown[256];

	error_os(err, os_error ? os_error : EIO, "cannot write '%s'",
		text_escape(path, strlen(path), shown, sizeof shown));
	if (err->status != STATUS_NOT_PERMITTED)
		err->status = STATUS_IO;
	return err->status;
}

/* The folder of a path, as heap memory. */
static char *folder_of(const char *path)
{
	AUTO_FREE char *copy = strdup(path);

	return copy ? strdup(dirname(copy)) : NULL;
}

/* Another name beside the place, not the same for two threads of a process. */
static char *name_beside(const char *place, unsigned try)
{
	static _Atomic unsigned serial;
	const char *base = strrchr(place, '/');
	char *name = NULL;

	base = base ? base + 1 : place;
	if (asprintf(&name, "%.*s.%.200s.%d-%u-%u", (int)(base - place), place, base, (int)getpid(),
		    serial++, try) < 0)
		return NULL;
	return name;
}

static int open_temporary(struct replacement *replacement)
{
	for (unsigned try = 0; try < TRIES_MAX; try++) {
		int fd;

		free(replacement->temporary);
		replacement->temporary = name_beside(replacement->place, try);
		if (!replacement->temporary)
			return -1;
		fd = open(replacement->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			break;
	}
	free(steal_pointer(&replacement->temporary));
	return -1;
}

/* A file without a name vanishes by itself, however we end; not every file system has them. */
static int open_beside(struct replacement *replacement)
{
	AUTO_FREE char *folder = folder_of(replacement->place);
	int fd;

	if (!folder)
		return -1;
	fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = open_temporary(replacement);
	return fd;
}

static char *resolve_link(const char *path)
{
	struct stat status;
	char *place = NULL;

	if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
		place = realpath(path, NULL);
	return place ? place : strdup(path);
}

int replacement_open(const char *path, struct replacement *ret, struct error *err)
{
	struct replacement replacement = {.path = path, .place = resolve_link(path)};
	struct stat status;
	int fd = -1;

	if (!replacement.place)
		return error_os(err, ENOMEM, "cannot write");
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
		errno = EISDIR;
	} else if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
		replacement.direct = true;
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	} else {
		fd = open_beside(&replacement);
	}
	if (fd >= 0)
		replacement.file = fdopen(fd, "w");
	if (!replacement.file) {
		int failed = errno;

		if (fd >= 0)
			close(fd);
		replacement_release(&replacement);
		return replacement_error(failed, path, err);
	}
	*ret = replacement;
	return STATUS_OK;
}

/* Gives the file without a name one beside its place, if it cannot have the place at once. */
static int link_in(struct replacement *replacement)
{
	char source[32];

	snprintf(source, sizeof source, "/proc/self/fd/%d", fileno(replacement->file));
	if (linkat(AT_FDCWD, source, AT_FDCWD, replacement->place, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	for (unsigned try = 0; errno == EEXIST && try < TRIES_MAX; try++) {
		AUTO_FREE char *name = name_beside(replacement->place, try);

		if (!name)
			return -1;
		if (linkat(AT_FDCWD, source, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
			replacement->temporary = steal_pointer(&name);
			return 0;
		}
	}
	return -1;
}

int replacement_commit(struct replacement *replacement, struct error *err)
{
	int failed = 0;

	if (fflush(replacement->file) != 0 || ferror(replacement->file))
		failed = errno ? errno : EIO;
	if (!failed && !replacement->direct && !replacement->temporary && link_in(replacement) != 0)
		failed = errno;
	if (fclose(steal_pointer(&replacement->file)) != 0 && !failed)
		failed = errno;
	if (!failed && replacement->temporary) {
		if (rename(replacement->temporary, replacement->place) != 0)
			failed = errno;
		else
			free(steal_pointer(&replacement->temporary));
	}
	return failed ? replacement_error(failed, replacement->path, err) : STATUS_OK;
}

void replacement_release(struct replacement *replacement)
{
	if (replacement->file)
		fclose(replacement->file);
	if (replacement->temporary)
		unlink(replacement->temporary);
	free(replacement->temporary);
	free(replacement->place);
	*replacement = (struct replacement){0};
}
