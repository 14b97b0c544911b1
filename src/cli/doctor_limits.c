#include "cli/doctor.h"

#include "base/cgroup.h"
#include "base/number.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/inotify_use.h"
#include "cli/logind.h"
#include "shm/names.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STORE_USUAL (UINT64_C(512) << 20) /* what a server takes where there is enough */

static void examine_logind(struct findings *findings)
{
	const struct passwd *user = getpwuid(geteuid());

	switch (logind_removal("", geteuid(), user ? user->pw_name : "")) {
	case LOGIND_KEEPS:
		finding_add(findings, "RemoveIPC", FINDING_OK, "logind keeps this user's objects");
		break;
	case LOGIND_LOGGED_IN:
	case LOGIND_AWAY:
		finding_remedy(
			finding_add(findings, "RemoveIPC", FINDING_WARNING,
				"logind removes this user's objects, those of running servers too, "
				"when the last session ends"),
			"'loginctl enable-linger', RemoveIPC=no in logind.conf(5), or a server "
			"that runs as a system user (shmsem@.service)");
		break;
	}
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
		finding_add(findings, "memory", FINDING_OK, "no limit by a control group");
	else if (limit < size || limit < STORE_USUAL)
		finding_remedy(
			finding_add(findings, "memory", FINDING_WARNING,
				"the control group allows %s, less than %s (%s): who fills that is "
				"killed, without an error",
				format_size(limit, text),
				limit < size ? SHM_DIRECTORY : "a store's usual size",
				format_size(limit < size ? size : STORE_USUAL, whole)),
			"a larger memory limit (--memory, resources.limits.memory, MemoryMax=), or "
			"'serve --cache' well below it");
	else
		finding_add(findings, "memory", FINDING_OK, "the control group allows %s",
			format_size(limit, text));
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
	finding_remedy(finding_add(findings, check, few ? FINDING_WARNING : FINDING_OK,
			       "%llu of %llu used%s", (unsigned long long)used,
			       (unsigned long long)limit, most),
		few ? help : "");
}

#define WITHOUT_INOTIFY "a server looks at each file again for every request"

static void examine_inotify(struct findings *findings)
{
	struct inotify_use use = inotify_use_read();
	char most[128];

	max_text(use.most, use.max_instances, most);
	if (use.failed && use.failed != EMFILE)
		finding_remedy(finding_add(findings, "inotify", FINDING_WARNING,
				       "no instance to be had (%s): " WITHOUT_INOTIFY,
				       strerror(use.failed)),
			"a seccomp profile that allows inotify_init1");
	else if (use.failed)
		finding_remedy(finding_add(findings, "inotify", FINDING_WARNING,
				       "no instance to be had, %llu of %llu seen in "
				       "use%s: " WITHOUT_INOTIFY,
				       (unsigned long long)use.instances,
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
		finding_remedy(
			finding_add(findings, "CPUs", FINDING_WARNING,
				"one: nobody spins, and each hand-off costs two context switches"),
			"a second CPU (cpuset, --cpus, taskset)");
	else
		finding_add(findings, "CPUs", FINDING_OK, "%u", cpus);
}

static void examine_limit(
	struct findings *findings, const char *check, int which, uint64_t least, const char *help)
{
	char text[SIZE_TEXT_SIZE];
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)which, &limit) != 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		finding_add(findings, check, FINDING_OK, "no limit");
	else if (limit.rlim_cur < least)
		finding_remedy(finding_add(findings, check, FINDING_WARNING, "%s",
				       format_size(limit.rlim_cur, text)),
			help);
	else if (which == RLIMIT_NOFILE)
		finding_add(
			findings, check, FINDING_OK, "%llu", (unsigned long long)limit.rlim_cur);
	else
		finding_add(findings, check, FINDING_OK, "%s", format_size(limit.rlim_cur, text));
}

void doctor_limits(struct findings *findings)
{
	examine_logind(findings);
	examine_cgroup(findings);
	examine_inotify(findings);
	examine_cpus(findings);
	examine_limit(findings, "open files", RLIMIT_NOFILE, FILES_FEW,
		"ulimit -n 1024, or LimitNOFILE= in the unit");
	examine_limit(findings, "file size", RLIMIT_FSIZE, STORE_USUAL,
		"ulimit -f unlimited, or LimitFSIZE=: it holds for shared memory, too");
	examine_limit(findings, "address space", RLIMIT_AS, 8 * STORE_USUAL,
		"ulimit -v unlimited, or LimitAS=: a segment's whole room is reserved, not used");
}
