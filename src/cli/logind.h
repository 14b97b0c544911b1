/*
 * systemd-logind, which removes what a user has in /dev/shm when the user's last session ends.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum logind_removal {
	LOGIND_KEEPS,     /* no logind here, a system user, a lingering one, or RemoveIPC=no */
	LOGIND_LOGGED_IN, /* removes, and the user has a session that can end */
	LOGIND_AWAY,      /* removes once the user has logged in and out again */
};

/*
 * What logind will do with the objects of that user, by its configuration files as they are now
 * and by what it notes in /run and /var; all of them below `root` ("" for the system's own).
 * logind itself is not asked: that it has read those files is taken for granted.
 */
enum logind_removal logind_removal(const char *root, uid_t uid, const char *user);
