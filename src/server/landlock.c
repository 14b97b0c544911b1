#include "server/landlock.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/*
 * The kernel's interface, in our own words: the headers of the oldest system we build on know
 * version 1 only, and the kernel that we run on decides what can be asked for.
 */
struct ruleset {
	uint64_t files;   /* version 1 */
	uint64_t network; /* version 4 */
	uint64_t scopes;  /* version 6 */
};

#define CREATE_VERSION (1U << 0)

#define FILES_1   ((UINT64_C(1) << 13) - 1) /* execute, read, write, list, remove, make */
#define FILES_2   (UINT64_C(1) << 13)       /* link or rename across folders */
#define FILES_3   (UINT64_C(1) << 14)       /* truncate */
#define FILES_5   (UINT64_C(1) << 15)       /* ioctl of devices */
#define NETWORK_4 (UINT64_C(3))             /* bind and connect TCP */
#define SCOPES_6  (UINT64_C(3))             /* abstract Unix sockets, signals */

static long create_ruleset(const struct ruleset *ruleset, size_t size, uint32_t flags)
{
	return syscall(SYS_landlock_create_ruleset, ruleset, size, flags);
}

int landlock_version(void)
{
	long version = create_ruleset(NULL, 0, CREATE_VERSION);

	return version > 0 ? (int)version : 0;
}

/* Version 7 adds what to log; the default, denials of this program, is right. */
int landlock_deny_all(int version)
{
	struct ruleset all = {.files = FILES_1};
	AUTO_CLOSE int fd = -1;

	if (version >= 2)
		all.files |= FILES_2;
	if (version >= 3)
		all.files |= FILES_3;
	if (version >= 4)
		all.network = NETWORK_4;
	if (version >= 5)
		all.files |= FILES_5;
	if (version >= 6)
		all.scopes = SCOPES_6;
	/* An older kernel takes the longer struct as long as what it does not know is zero. */
	fd = (int)create_ruleset(&all, sizeof all, 0);
	if (fd < 0)
		return errno;
	return syscall(SYS_landlock_restrict_self, fd, 0) ? errno : 0;
}
