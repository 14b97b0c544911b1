#include "cli/doctor.h"

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/number.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/doctor_host.h"
#include "cli/footer.h"
#include "cli/inotify_use.h"
#include "cli/logind.h"
#include "exchange/wire.h"
#include "inventory/mounts.h"
#include "inventory/survey.h"
#include "server/change_flag.h"
#include "server/landlock.h"
#include "server/sandbox.h"
#include "shm/lock.h"
#include "shm/names.h"
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SHM_SMALL   (UINT64_C(128) << 20) /* containers have 64M unless told otherwise */
#define STORE_USUAL (UINT64_C(512) << 20) /* what a server takes where there is enough */
#define FILES_FEW   256

static struct finding *find(struct findings *findings, const char *check, enum finding_state state,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

static struct finding *find(struct findings *findings, const char *check, enum finding_state state,
	const char *format, ...)
{
	struct finding *finding = &findings->items[findings->count++];
	va_list arguments;

	*finding = (struct finding){.check = check, .state = state};
	va_start(arguments, format);
	vsnprintf(finding->what, sizeof finding->what, format, arguments);
	va_end(arguments);
	return finding;
}

static void remedy(struct finding *finding, const char *text)
{
	snprintf(finding->remedy, sizeof finding->remedy, "%s", text);
}

/* ---- /dev/shm ---- */

static void examine_kind(struct findings *findings)
{
	struct statfs system;

	if (statfs(SHM_DIRECTORY, &system) != 0)
		remedy(find(findings, "file system", FINDING_BAD, "there is no %s: %s",
			       SHM_DIRECTORY, strerror(errno)),
			"mount -t tmpfs -o mode=1777 tmpfs /dev/shm");
	else if (system.f_type != TMPFS_MAGIC)
		remedy(find(findings, "file system", FINDING_WARNING,
			       "%s is no tmpfs: images go to a disk, or through a network",
			       SHM_DIRECTORY),
			"mount -t tmpfs -o mode=1777 tmpfs /dev/shm");
	else
		find(findings, "file system", FINDING_OK, "%s is a tmpfs", SHM_DIRECTORY);
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
		remedy(find(findings, "size", help ? FINDING_WARNING : FINDING_OK,
			       "%s, %s of it free", format_size(size, whole),
			       format_size(left, free)),
			help ? help : "");
	else
		find(findings, "size", FINDING_OK, "%s has no limit of its own", SHM_DIRECTORY);
	if (system.f_files)
		remedy(find(findings, "inodes",
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
		remedy(find(findings, "mode", FINDING_BAD, "%s is mounted read-only",
			       SHM_DIRECTORY),
			"mount -o remount,rw /dev/shm; in a container no read_only or :ro for it");
	else if (access(SHM_DIRECTORY, W_OK | X_OK) != 0)
		remedy(find(findings, "mode", FINDING_BAD, "%s has mode %04o, and we cannot write",
			       SHM_DIRECTORY, status.st_mode & 07777),
			"chmod 1777 /dev/shm");
	else if (status.st_mode & S_IWOTH && !(status.st_mode & S_ISVTX))
		remedy(find(findings, "mode", FINDING_WARNING,
			       "%s has mode %04o: without the sticky bit anybody can remove and "
			       "replace anybody's objects",
			       SHM_DIRECTORY, status.st_mode & 07777),
			"chmod +t /dev/shm");
	else
		find(findings, "mode", FINDING_OK, "%04o", status.st_mode & 07777);
}

/* Objects are made as unnamed files, which then get a name, and carry locks. */
static void examine_objects(struct findings *findings)
{
	AUTO_CLOSE int fd = shm_file_unnamed(&(struct access){.mode = 0600, .group = (gid_t)-1});
	int failed = fd < 0 ? errno : lock_take(fd, WIRE_SERVER_LOCK);

	if (!failed)
		failed = posix_fallocate(fd, 0, WIRE_PAGE);
	if (fd < 0)
		remedy(find(findings, "objects", FINDING_BAD, "an object cannot be made in %s: %s",
			       SHM_DIRECTORY, strerror(failed)),
			"a kernel with O_TMPFILE on tmpfs (3.11), and a sandbox that allows it");
	else if (failed)
		remedy(find(findings, "objects", FINDING_BAD,
			       "an object cannot be locked or filled: %s", strerror(failed)),
			failed == ENOSPC ? "make room: see 'size'"
					 : "a kernel with open-file-description locks (3.15)");
	else
		find(findings, "objects", FINDING_OK, "can be made, locked and filled");
	if (access("/proc/self/fd", X_OK) != 0)
		remedy(find(findings, "proc", FINDING_WARNING,
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
		find(findings, "leftovers", FINDING_WARNING, "%s", err.text);
		return;
	}
	tally = tally_of(&survey.objects);
	for (enum owner_class owner = 0; owner < OWNER_CLASSES; owner++) {
		char text[ADVICE_SIZE], *removes;

		if (!advice_text(&tally, owner, text))
			continue;
		removes = strchr(text, ':');
		*removes = '\0';
		remedy(find(findings, "leftovers", FINDING_WARNING, "%s", text), removes + 2);
		kinds++;
	}
	if (!kinds)
		find(findings, "leftovers", FINDING_OK, "nothing is known to be stale");
}

/* ---- the system ---- */

static void examine_logind(struct findings *findings)
{
	const struct passwd *user = getpwuid(geteuid());

	switch (logind_removal("", geteuid(), user ? user->pw_name : "")) {
	case LOGIND_KEEPS:
		find(findings, "RemoveIPC", FINDING_OK, "logind keeps this user's objects");
		break;
	case LOGIND_LOGGED_IN:
	case LOGIND_AWAY:
		remedy(find(findings, "RemoveIPC", FINDING_WARNING,
			       "logind removes this user's objects, those of running servers too, "
			       "when the last session ends"),
			"'loginctl enable-linger', RemoveIPC=no in logind.conf(5), or a server "
			"that runs as a system user (shmsem@.service)");
		break;
	}
}

static void examine_sandbox(struct findings *findings)
{
	unsigned missing = sandbox_missing();

	if (missing & SANDBOX_NO_SECCOMP)
		remedy(find(findings, "seccomp", FINDING_BAD,
			       "decoders cannot be confined: no system-call filters"),
			"a kernel with CONFIG_SECCOMP_FILTER and a build with libseccomp; "
			"'serve --allow-degraded-sandbox' goes without");
	else
		find(findings, "seccomp", FINDING_OK, "there");
	if (missing & SANDBOX_NO_LANDLOCK)
		remedy(find(findings, "Landlock", FINDING_WARNING,
			       "not there: decoders rely on seccomp alone"),
			"a kernel of 5.13 or later with landlock in lsm= (see 'cat "
			"/sys/kernel/security/lsm')");
	else
		find(findings, "Landlock", FINDING_OK, "version %d", landlock_version());
}

/* What the memory of /dev/shm is charged to ends a server by an OOM kill, not by an error. */
static void examine_cgroup(struct findings *findings)
{
	uint64_t limit = cgroup_memory_limit(""), size = 0;
	char text[SIZE_TEXT_SIZE], whole[SIZE_TEXT_SIZE];
	struct statvfs system;

	if (statvfs(SHM_DIRECTORY, &system) == 0)
		size = (uint64_t)system.f_blocks * system.f_frsize;
	if (limit == UINT64_MAX)
		find(findings, "memory", FINDING_OK, "no limit by a control group");
	else if (limit < size || limit < STORE_USUAL)
		remedy(find(findings, "memory", FINDING_WARNING,
			       "the control group allows %s, less than %s (%s): who fills that is "
			       "killed, without an error",
			       format_size(limit, text),
			       limit < size ? SHM_DIRECTORY : "a store's usual size",
			       format_size(limit < size ? size : STORE_USUAL, whole)),
			"a larger memory limit (--memory, resources.limits.memory, MemoryMax=), or "
			"'serve --cache' well below it");
	else
		find(findings, "memory", FINDING_OK, "the control group allows %s",
			format_size(limit, text));
}

static void examine_calls(struct findings *findings)
{
	char refused[160] = "";
	const char *name;
	int failed;

	for (size_t i = 0; (name = needed_call_try(i, &failed)); i++) {
		size_t used = strlen(refused);

		if (failed)
			snprintf(refused + used, sizeof refused - used, "%s%s (%s)",
				used ? ", " : "", name, failed < 0 ? "killed" : strerror(failed));
	}
	if (refused[0])
		remedy(find(findings, "calls", FINDING_BAD, "refused: %s", refused),
			"a seccomp profile that allows them (docker run --security-opt "
			"seccomp=..., securityContext.seccompProfile), or a newer kernel");
	else
		find(findings, "calls", FINDING_OK, "those that a server needs are allowed");
}

static void examine_shared_ring(struct findings *findings)
{
	int missing = shared_ring_missing();

	if (missing)
		remedy(find(findings, "change flag", FINDING_WARNING,
			       "no io_uring poll ring with IORING_SETUP_NO_MMAP (%s): clients "
			       "cannot "
			       "see changes without asking the server",
			       strerror(missing)),
			"Linux 6.5, kernel.io_uring_disabled=0 (sysctl), a seccomp profile that "
			"allows io_uring_setup");
	else
		find(findings, "change flag", FINDING_OK,
			"io_uring poll ring with IORING_SETUP_NO_MMAP");
}

static void examine_uring(struct findings *findings)
{
	int missing = change_flag_missing();

	if (missing)
		remedy(find(findings, "io_uring", FINDING_WARNING,
			       "not to be had (%s): each answer from the store costs a server one "
			       "system call",
			       strerror(missing)),
			"kernel.io_uring_disabled=0 (sysctl), a container's seccomp profile that "
			"allows io_uring_setup, a kernel of 6.1 or later, a build with liburing");
	else
		find(findings, "io_uring", FINDING_OK, "there");
}

/* " (most: 4 of 812 (code))"; nothing where nobody has any. */
static const char *max_text(pid_t pid, uint64_t count, char text[128])
{
	char command[COMMAND_SIZE], shown[4 * COMMAND_SIZE];

	text[0] = '\0';
	if (!pid)
		return text;
	process_command(pid, command);
	text_escape(command, strlen(command), shown, sizeof shown);
	snprintf(text, 128, "; most, %llu, by %d (%s)", (unsigned long long)count, (int)pid, shown);
	return text;
}

static void examine_inotify_number(struct findings *findings, const char *check, uint64_t used,
	uint64_t limit, const char *most, const char *help)
{
	bool few = limit != UINT64_MAX && used >= limit - limit / 10;

	if (limit == UINT64_MAX)
		return;
	remedy(find(findings, check, few ? FINDING_WARNING : FINDING_OK, "%llu of %llu used%s",
		       (unsigned long long)used, (unsigned long long)limit, most),
		few ? help : "");
}

static void examine_inotify(struct findings *findings)
{
	struct inotify_use use = inotify_use_read();
	char most[128];

	max_text(use.most, use.max_instances, most);
	if (use.failed)
		remedy(find(findings, "inotify", FINDING_WARNING,
			       "no instance to be had (%s): %llu of %llu used%s; a server looks at "
			       "each file again for every request",
			       strerror(use.failed), (unsigned long long)use.instances,
			       (unsigned long long)use.instances_max, most),
			"sysctl fs.inotify.max_user_instances=1024, or end what holds them");
	else
		examine_inotify_number(findings, "inotify", use.instances, use.instances_max, most,
			"sysctl fs.inotify.max_user_instances=1024");
	examine_inotify_number(findings, "watches", use.watches, use.watches_max,
		max_text(use.max_watching, use.max_watches, most),
		"sysctl fs.inotify.max_user_watches=1048576; each folder that is served takes one");
}

static void examine_cpus(struct findings *findings)
{
	unsigned cpus = process_cpus();

	if (cpus < 2)
		remedy(find(findings, "CPUs", FINDING_WARNING,
			       "one: nobody spins, and each hand-off costs two context switches"),
			"a second CPU (cpuset, --cpus, taskset)");
	else
		find(findings, "CPUs", FINDING_OK, "%u", cpus);
}

/* "always within_size [advise] never": what stands in the brackets. */
static void examine_huge_pages(struct findings *findings)
{
	AUTO_CLOSE int fd = open(
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);
	char text[128] = "", *begin, *end;

	if (fd < 0 || read_full(fd, text, sizeof text - 1) <= 0 || !(begin = strchr(text, '[')) ||
		!(end = strchr(begin, ']'))) {
		find(findings, "huge pages", FINDING_OK, "the kernel has none for shared memory");
		return;
	}
	*end = '\0';
	find(findings, "huge pages", FINDING_OK,
		"%s by /sys (a mount's own huge= counts instead; small pages are well)", begin + 1);
}

static void examine_limit(
	struct findings *findings, const char *check, int which, uint64_t least, const char *help)
{
	char text[SIZE_TEXT_SIZE];
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)which, &limit) != 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		find(findings, check, FINDING_OK, "no limit");
	else if (limit.rlim_cur < least)
		remedy(find(findings, check, FINDING_WARNING, "%s",
			       format_size(limit.rlim_cur, text)),
			help);
	else if (which == RLIMIT_NOFILE)
		find(findings, check, FINDING_OK, "%llu", (unsigned long long)limit.rlim_cur);
	else
		find(findings, check, FINDING_OK, "%s", format_size(limit.rlim_cur, text));
}

void doctor_examine(struct findings *ret)
{
	ret->count = 0;
	examine_kind(ret);
	examine_size(ret);
	examine_mode(ret);
	examine_objects(ret);
	examine_leftovers(ret);
	examine_logind(ret);
	examine_sandbox(ret);
	examine_calls(ret);
	examine_uring(ret);
	examine_shared_ring(ret);
	examine_cgroup(ret);
	examine_inotify(ret);
	examine_cpus(ret);
	examine_huge_pages(ret);
	examine_limit(ret, "open files", RLIMIT_NOFILE, FILES_FEW,
		"ulimit -n 1024, or LimitNOFILE= in the unit");
	examine_limit(ret, "file size", RLIMIT_FSIZE, STORE_USUAL,
		"ulimit -f unlimited, or LimitFSIZE=: it holds for shared memory, too");
	examine_limit(ret, "address space", RLIMIT_AS, 8 * STORE_USUAL,
		"ulimit -v unlimited, or LimitAS=: a segment's whole room is reserved, not used");
}

/* ---- a folder ---- */

static bool is_remote(const char *type)
{
	static const char *const types[] = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs",
		"lustre", "gfs2", "ocfs2", NULL};

	for (size_t i = 0; types[i]; i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

void doctor_examine_folder(struct findings *findings, const char *folder)
{
	AUTO_MOUNTS struct mounts mounts = {0};
	const struct mount *mount;
	struct stat status;

	if (stat(folder, &status) != 0 || access(folder, R_OK | X_OK) != 0) {
		find(findings, "folder", FINDING_BAD, "cannot be read: %s", strerror(errno));
		return;
	}
	if (!S_ISDIR(status.st_mode)) {
		find(findings, "folder", FINDING_BAD, "is no folder");
		return;
	}
	mounts_read(&mounts);
	mount = mounts_of(&mounts, folder);
	if (!mount)
		find(findings, "folder", FINDING_WARNING, "cannot tell what file system it is on");
	else if (!strncmp(mount->type, "fuse", 4) || is_remote(mount->type))
		remedy(find(findings, "folder", FINDING_WARNING,
			       "on %s (%s), which tells nothing of changes elsewhere: each request "
			       "asks it whether the file changed, and waits if it hangs",
			       mount->type, mount->path),
			"a copy on a local disk where speed counts");
	else
		find(findings, "folder", FINDING_OK, "on %s (%s)%s", mount->type, mount->path,
			mount->read_only ? ", mounted read-only here" : "");
}
