#include "cli/doctor.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/needed_calls.h"
#include "server/change_flag.h"
#include "server/landlock.h"
#include "server/sandbox.h"
#include "server/thread_word.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- decoders' sandbox ---- */

static void examine_sandbox(struct findings *findings)
{
	unsigned missing = sandbox_missing();

	if (missing & SANDBOX_NO_SECCOMP)
		finding_remedy(finding_add(findings, "seccomp", FINDING_BAD,
				       "decoders cannot be confined: no system-call filters"),
			"a kernel with CONFIG_SECCOMP_FILTER and a build with libseccomp; "
			"'serve --allow-degraded-sandbox' goes without");
	else
		finding_add(findings, "seccomp", FINDING_OK, "there");
	if (missing & SANDBOX_NO_LANDLOCK)
		finding_remedy(finding_add(findings, "Landlock", FINDING_WARNING,
				       "not there: decoders rely on seccomp alone"),
			"a kernel of 5.13 or later with landlock in lsm= (see 'cat "
			"/sys/kernel/security/lsm')");
	else
		finding_add(findings, "Landlock", FINDING_OK, "version %d", landlock_version());
}

static void examine_calls(struct findings *findings)
{
	char refused[CALLS_TEXT_SIZE];

	if (needed_calls_refused(refused))
		finding_remedy(finding_add(findings, "calls", FINDING_BAD, "refused: %s", refused),
			CALLS_REMEDY);
	else
		finding_add(findings, "calls", FINDING_OK, "those that a server needs are allowed");
}

/* ---- io_uring ---- */

static void examine_shared_ring(struct findings *findings)
{
	int missing = change_flag_share_missing();

	if (!missing && !thread_word_works())
		missing = ENOSYS;
	if (missing)
		finding_remedy(finding_add(findings, "change flag", FINDING_WARNING,
				       "not to be had (%s): clients ask the server for each stored "
				       "image, or find it with --fresh only",
				       strerror(missing)),
			"Linux 6.5, kernel.io_uring_disabled=0 (sysctl), a seccomp profile that "
			"allows io_uring_setup, _enter and _register, and set_robust_list");
	else
		finding_add(findings, "change flag", FINDING_OK,
			"there: clients find stored images without asking the server");
}

static void examine_uring(struct findings *findings)
{
	int missing = change_flag_missing();

	if (missing)
		finding_remedy(
			finding_add(findings, "io_uring", FINDING_WARNING,
				"not to be had (%s): each answer from the store costs a server one "
				"system call",
				strerror(missing)),
			"kernel.io_uring_disabled=0 (sysctl), a container's seccomp profile that "
			"allows io_uring_setup, a kernel of 6.1 or later, a build with liburing");
	else
		finding_add(findings, "io_uring", FINDING_OK, "there");
}

/* "always within_size [advise] never": what stands in the brackets. */
static void examine_huge_pages(struct findings *findings)
{
	AUTO_CLOSE int fd = open(
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);
	char text[128] = "", *begin, *end;

	if (fd < 0 || read_full(fd, text, sizeof text - 1) <= 0 || !(begin = strchr(text, '[')) ||
		!(end = strchr(begin, ']'))) {
		finding_add(findings, "huge pages", FINDING_OK,
			"the kernel has none for shared memory");
		return;
	}
	*end = '\0';
	finding_add(findings, "huge pages", FINDING_OK,
		"%s by /sys (a mount's own huge= counts instead: with always, a process that maps "
		"an image for the first time needs less time, and each object 2 MiB)",
		begin + 1);
}

void doctor_kernel(struct findings *findings)
{
	examine_sandbox(findings);
	examine_calls(findings);
	examine_uring(findings);
	examine_shared_ring(findings);
	examine_huge_pages(findings);
}
