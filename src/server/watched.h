/*
 * What inotify watches: folders, by their paths, and files that are relied on, by the kernel's numbers.
 * Only watch.c uses it.
 */
#pragma once

#include "base/hash_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the place of a folder's number; the kernel's count up from 1, and none is used twice. */
#define EVERYWHERE (-1)
#define NOWHERE    (-2)

/* Never freed while there are tokens (watch.h): one that is gone may become another. */
struct watched_folder {
	struct hash_table_link by_path, by_descriptor;
	struct watched_folder *next;      /* of all */
	struct watched_folder *next_free; /* of those that are gone */
	char *path;                       /* "" for the root; NULL: gone */
	int descriptor;
	bool folds; /* a name in it may be spelled in several ways */
	uint64_t generation;
};

struct watched_file {
	struct hash_table_link by_descriptor;
	int descriptor; /* -1: the kernel watches it no more */
	int folder;     /* descriptor of the one it is known in; EVERYWHERE: in several; NOWHERE */
	size_t users;
	uint64_t changes; /* and whatever else happened to it */
	uint64_t closes;  /* by programs that had it open for writing */
};

struct watched {
	int inotify;
	struct watched_folder *folders, *free_folders;
	struct hash_table folders_by_path, folders_by_descriptor, files;
};

void watched_init(struct watched *watched, int inotify);
void watched_release(struct watched *watched);

/* That of path[0..length); NULL if it is not watched. */
struct watched_folder *watched_folder_find(
	const struct watched *watched, const char *path, size_t length);

/* The folder with that descriptor; NULL when out of memory. */
struct watched_folder *watched_folder_add(
	struct watched *watched, const char *path, int descriptor, bool folds);

/* Whether a folder has that descriptor. */
bool watched_folder_known(const struct watched *watched, int descriptor);

/* Something happened in it: its generation goes up. With `gone` it is watched no more. False if no
 * folder has that descriptor. */
bool watched_folder_changed(struct watched *watched, int descriptor, bool gone);

void watched_folders_forget(struct watched *watched);

/* The file with that descriptor; NULL if there is none. */
struct watched_file *watched_file_find(const struct watched *watched, int descriptor);

/* The same, known to be in that folder (NOWHERE: in none), and a new one if there is none; NULL when out
 * of memory. */
struct watched_file *watched_file_add(struct watched *watched, int descriptor, int folder);

/* The kernel watches it no more. */
void watched_file_gone(struct watched *watched, struct watched_file *file);

/* Watches it no more, and frees it. */
void watched_file_free(struct watched *watched, struct watched_file *file);
