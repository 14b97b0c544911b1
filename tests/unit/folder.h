/* A test's own folder. */
#pragma once

#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_one(
	const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	return remove(path);
}

/* Removes it with all that is in it. */
static inline void folder_remove(const char *path)
{
	nftw(path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
