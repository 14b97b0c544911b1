#include "server/within.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "server/shard_name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Links are followed once, as those of a folder are. */
static int open_shard(const char *path, struct within *ret, int *ret_folder, struct error *err)
{
	AUTO_FREE char *real = realpath(path, NULL);
	char *name = real ? strrchr(real, '/') + 1 : NULL;
	size_t length = real ? strlen(name) : 0;
	struct stat status;
	int folder;

	if (!real || stat(real, &status) != 0)
		return error_os(err, errno, "cannot open '%s'", path);
	if (!S_ISREG(status.st_mode) || !shard_name_ends(name, length) || length > NAME_MAX)
		return error_os(err, ENOTDIR, "cannot open '%s'", path);
	*ret = (struct within){.length = length + 1};
	memcpy(ret->prefix, name, length);
	ret->prefix[length] = '/';
	text_escape(ret->prefix, ret->length, ret->shown, sizeof ret->shown);
	*name = '\0';
	folder = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return error_os(err, errno, "cannot open '%s'", real);
	*ret_folder = folder;
	return STATUS_OK;
}

int within_open(const char *directory, struct within *ret, int *ret_folder, struct error *err)
{
	int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0 && errno == ENOTDIR)
		return open_shard(directory, ret, ret_folder, err);
	if (folder < 0)
		return error_os(err, errno, "cannot open '%s'", directory);
	*ret = (struct within){0};
	*ret_folder = folder;
	return STATUS_OK;
}

bool within_enter(const struct within *within, char *name, size_t size)
{
	size_t length = strlen(name) + 1;

	if (within->length > size - length)
		return false;
	memmove(name + within->length, name, length);
	memcpy(name, within->prefix, within->length);
	return true;
}

void within_hide(const struct within *within, struct error *err)
{
	size_t length = strlen(within->shown);

	if (within->length && !strncmp(err->text, within->shown, length))
		memmove(err->text, err->text + length, strlen(err->text + length) + 1);
}
