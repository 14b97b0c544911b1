/* Objects of this process's own, for its own user. */
#pragma once

#include "shm/names.h"
#include "shm/shm_file.h"

#include <stdio.h>
#include <unistd.h>

static const struct access mine = {.mode = 0600, .group = (gid_t)-1};

static inline struct name_space space_named(const char *text)
{
	struct name_space space;

	snprintf(space.text, sizeof space.text, "test-shm-%d-%s", (int)getpid(), text);
	return space;
}
