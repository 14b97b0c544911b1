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

#define READ_FILE (UINT64_C(1) << 2)
#define READ_DIR  (UINT64_C(1) << 3)

#define RULE_BENEATH 1

struct beneath {
	uint64_t allowed;
	int32_t folder;
} __attribute__((packed));

static long create_ruleset(const struct ruleset *ruleset, size_t size, uint32_t flags)
{
	return syscall(SYS_landlock_create_ruleset, ruleset, size, flags);
}

int landlock_version(void)
{
	long version = create_ruleset(NULL, 0, CREATE_VERSION);

	return version > 0 ? (int)version : 0;
}

/* Everything that this version can deny. Version 7 adds what to log; the default, denials of this
 * program, is right. */
static struct ruleset ruleset_for(int version)
{
	struct ruleset all = {.files = FILES_1};

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
	return all;
}

/* Below `folder` files may be read; -1: nowhere. */
static int restrict_to(int version, int folder)
{
	const struct ruleset all = ruleset_for(version);
	const struct beneath beneath = {.allowed = READ_FILE | READ_DIR, .folder = folder};
	/* An older kernel takes the longer struct as long as what it does not know is zero. */
	AUTO_CLOSE int fd = (int)create_ruleset(&all, sizeof all, 0);

	if (fd < 0 ||
		(folder >= 0 &&
			syscall(SYS_landlock_add_rule, fd, RULE_BENEATH, &beneath, 0) != 0) ||
		syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		return errno;
	return 0;
}

int landlock_deny_all(int version)
{
	return restrict_to(version, -1);
}

int landlock_read_only(int version, int folder)
{
	return restrict_to(version, folder);
}
