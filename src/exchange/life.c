#include "exchange/life.h"

#include "base/cleanup.h"
#include "exchange/wire.h"
#include "shm/fork.h"
#include "shm/lock.h"

#include <errno.h>
#include <fcntl.h>

bool life_open_to_others(const struct stat *object)
{
	return object->st_mode & (S_IWGRP | S_IWOTH);
}

int life_take(int *fd, const struct segment *segment)
{
	if (!fork_hide(fd, segment ? segment->base : NULL, segment ? segment->reserved : 0))
		return ENOMEM;
	return lock_take(*fd, WIRE_SERVER_LOCK);
}

int life_open(const struct name_space *space, const struct stat *object, int flags)
{
	char file[OBJECT_FILE_SIZE];
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(object_file(space, OBJECT_DATA, 0, file), flags, &status);

	if (fd < 0 || status.st_uid != object->st_uid || life_open_to_others(&status))
		return -1;
	return steal_fd(&fd);
}

int object_served(const char *file)
{
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(file, O_RDONLY, &status);
	AUTO_CLOSE int data = -1;
	struct name_space space;
	enum object_kind kind;
	unsigned index;

	if (fd < 0)
		return -1;
	if (life_open_to_others(&status) && object_file_parse(file, &space, &kind, &index))
		data = life_open(&space, &status, O_RDONLY);
	return lock_held(data < 0 ? fd : data, WIRE_SERVER_LOCK, 1);
}
