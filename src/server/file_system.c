#include "server/file_system.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

bool file_system_local(int fd)
{
	struct statfs system;

	if (fstatfs(fd, &system) != 0)
		return false;
	switch ((unsigned long)system.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case MSDOS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

bool file_system_folds(int folder)
{
	AUTO_CLOSE int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs system;
	int flags = 0;

	if (fd < 0 || fstatfs(fd, &system) != 0 || system.f_type == MSDOS_SUPER_MAGIC)
		return true;
	return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_CASEFOLD_FL;
}

bool file_system_in_memory(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && ((unsigned long)system.f_type == TMPFS_MAGIC ||
						    (unsigned long)system.f_type == RAMFS_MAGIC);
}
