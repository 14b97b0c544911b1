#include "cli/doctor.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "cli/footer.h"
#include "exchange/wire.h"
#include "inventory/survey.h"
#include "shm/lock.h"
#include "shm/shm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SHM_SMALL (UINT64_C(128) << 20) /* containers have 64M unless told otherwise */

static void examine_kind(struct findings *findings)
{
	struct statfs system;

	if (statfs(SHM_DIRECTORY, &system) != 0)
		finding_remedy(finding_add(findings, "file system", FINDING_BAD,
				       "there is no %s: %s", SHM_DIRECTORY, strerror(errno)),
			"mount -t tmpfs -o mode=1777 tmpfs /dev/shm");
	else if (system.f_type != TMPFS_MAGIC)
		finding_remedy(finding_add(findings, "file system", FINDING_WARNING,
				       "%s is no tmpfs: images go to a disk, or through a network",
				       SHM_DIRECTORY),
			"mount -t tmpfs -o mode=1777 tmpfs /dev/shm");
	else
		finding_add(findings, "file system", FINDING_OK, "%s is a tmpfs", SHM_DIRECTORY);
}

static void examine_size(struct findings *findings)
{
	char whole[SIZE_TEXT_SIZE], free[SIZE_TEXT_SIZE];
	uint64_t size, left;
	struct statvfs system;
	const char *help = NULL;

	if (statvfs(SHM_DIRECTORY, &system) != 0)
		return;
	size = (uint64_t)system.f_blocks * system.f_frsize;
	left = (uint64_t)system.f_bavail * system.f_frsize;
	if (size && size < SHM_SMALL)
		help = "in a container --shm-size=1g (Docker) or an emptyDir with medium: Memory "
		       "(Kubernetes); on a host mount -o remount,size=50% /dev/shm";
	else if (size && left < size / 10)
		help = "'shmsem list -a' shows what takes the room, 'shmsem cleanup' removes what "
		       "is stale";
	if (size)
		finding_remedy(finding_add(findings, "size", help ? FINDING_WARNING : FINDING_OK,
				       "%s, %s of it free", format_size(size, whole),
				       format_size(left, free)),
			help ? help : "");
	else
		finding_add(
			findings, "size", FINDING_OK, "%s has no limit of its own", SHM_DIRECTORY);
	if (system.f_files)
		finding_remedy(finding_add(findings, "inodes",
				       system.f_favail < FILES_FEW ? FINDING_WARNING : FINDING_OK,
				       "%llu of %llu used",
				       (unsigned long long)(system.f_files - system.f_ffree),
				       (unsigned long long)system.f_files),
			system.f_favail < FILES_FEW ? "mount -o remount,nr_inodes=0 /dev/shm" : "");
}

static void examine_mode(struct findings *findings)
{
	struct stat status;

	if (stat(SHM_DIRECTORY, &status) != 0)
		return;
	if (access(SHM_DIRECTORY, W_OK) != 0 && errno == EROFS)
		finding_remedy(finding_add(findings, "mode", FINDING_BAD, "%s is mounted read-only",
				       SHM_DIRECTORY),
			"mount -o remount,rw /dev/shm; in a container no read_only or :ro for it");
	else if (access(SHM_DIRECTORY, W_OK | X_OK) != 0)
		finding_remedy(finding_add(findings, "mode", FINDING_BAD,
				       "%s has mode %04o, and we cannot write", SHM_DIRECTORY,
				       status.st_mode & 07777),
			"chmod 1777 /dev/shm");
	else if (status.st_mode & S_IWOTH && !(status.st_mode & S_ISVTX))
		finding_remedy(
			finding_add(findings, "mode", FINDING_WARNING,
				"%s has mode %04o: without the sticky bit anybody can remove and "
				"replace anybody's objects",
				SHM_DIRECTORY, status.st_mode & 07777),
			"chmod +t /dev/shm");
	else
		finding_add(findings, "mode", FINDING_OK, "%04o", status.st_mode & 07777);
}

/* Objects are made as unnamed files, which then get a name, and carry locks. */
static void examine_making(struct findings *findings)
{
	AUTO_CLOSE int fd = shm_file_unnamed(&(struct access){.mode = 0600, .group = (gid_t)-1});
	int failed = fd < 0 ? errno : lock_take(fd, WIRE_SERVER_LOCK);

	if (fd < 0) {
		finding_remedy(finding_add(findings, "objects", FINDING_BAD,
				       "an object cannot be made in %s: %s", SHM_DIRECTORY,
				       strerror(failed)),
			failed == ENOSPC ? "make room: see 'size' and 'inodes'"
			: failed == EROFS || access(SHM_DIRECTORY, W_OK | X_OK) != 0
				? "see 'mode'"
				: "a kernel with O_TMPFILE on tmpfs (3.11), and a sandbox "
				  "that allows it");
		return;
	}
	if (failed) {
		finding_remedy(finding_add(findings, "objects", FINDING_BAD,
				       "an object cannot be locked: %s", strerror(failed)),
			"a kernel with open-file-description locks (3.15), and a sandbox that "
			"allows them");
		return;
	}
	failed = posix_fallocate(fd, 0, WIRE_PAGE);
	if (failed)
		finding_remedy(finding_add(findings, "objects", FINDING_BAD,
				       "an object cannot be filled: %s", strerror(failed)),
			failed == ENOSPC  ? "make room: see 'size'"
			: failed == EFBIG ? "ulimit -f unlimited: see 'file size'"
					  : "see 'calls'");
	else
		finding_add(findings, "objects", FINDING_OK, "can be made, locked and filled");
}

static void examine_objects(struct findings *findings)
{
	examine_making(findings);
	if (access("/proc/self/fd", X_OK) != 0)
		finding_remedy(
			finding_add(findings, "proc", FINDING_WARNING,
				"no /proc: 'list' and 'cleanup' cannot see who uses what, and only "
				"root can make objects"),
			"mount -t proc proc /proc");
}

static void examine_leftovers(struct findings *findings)
{
	AUTO_SURVEY struct survey survey = SURVEY_NONE;
	struct error err = {0};
	struct tally tally;
	size_t kinds = 0;

	if (survey_take(&survey, SURVEY_SYSV, &err)) {
		finding_add(findings, "leftovers", FINDING_WARNING, "%s", err.text);
		return;
	}
	tally = tally_of(&survey.objects);
	for (enum owner_class owner = 0; owner < OWNER_CLASSES; owner++) {
		char text[ADVICE_SIZE], *removes;

		if (!advice_text(&tally, owner, text))
			continue;
		removes = strchr(text, ':');
		*removes = '\0';
		finding_remedy(finding_add(findings, "leftovers", FINDING_WARNING, "%s", text),
			removes + 2);
		kinds++;
	}
	if (!kinds)
		finding_add(findings, "leftovers", FINDING_OK, "nothing is known to be stale");
}

void doctor_shm(struct findings *findings)
{
	examine_kind(findings);
	examine_size(findings);
	examine_mode(findings);
	examine_objects(findings);
	examine_leftovers(findings);
}
