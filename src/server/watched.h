/*
 * What inotify watches: folders, by their paths, and files that are relied on, by the kernel's numbers.
 * Only watch.c uses it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCHED_BUCKETS 16384

/* In the place of a folder's number; the kernel's count up from 1, and none is used twice. */
#define EVERYWHERE (-1)
#define NOWHERE    (-2)

struct watched_folder {
	char *path; /* "" for the root; NULL: gone */
	int descriptor;
	bool folds; /* a name in it may be spelled in several ways */
	uint64_t generation;
	uint32_t next_by_path; /* of the same bucket; of the free rows */
	uint32_t next_by_descriptor;
};

struct watched_file {
	struct watched_file *chain;
	int descriptor; /* -1: the kernel watches it no more */
	int folder;     /* descriptor of the one it is known in; EVERYWHERE: in several; NOWHERE */
	size_t users;
	uint64_t changes; /* and whatever else happened to it */
	uint64_t closes;  /* by programs that had it open for writing */
};

struct watched {
	int inotify;
	struct watched_folder *folders; /* [0] is unused: a row of 0 means none */
	uint32_t count, room;
	uint32_t free_row; /* the first of those that are not in use */
	uint32_t by_path[WATCHED_BUCKETS], by_descriptor[WATCHED_BUCKETS];
	struct watched_file *files[WATCHED_BUCKETS]; /* by descriptor */
};

void watched_init(struct watched *watched, int inotify);
void watched_release(struct watched *watched);

/* The row of path[0..length), 0 if it is not watched. */
uint32_t watched_folder_find(struct watched *watched, const char *path, size_t length);

/* A row for the folder with that descriptor; 0 when out of memory. */
uint32_t watched_folder_add(struct watched *watched, const char *path, int descriptor, bool folds);

/* Whether a folder has that descriptor. */
bool watched_folder_known(struct watched *watched, int descriptor);

/* Something happened in it: its generation goes up. With `gone` it is watched no more. False if no
 * folder has that descriptor. */
bool watched_folder_changed(struct watched *watched, int descriptor, bool gone);

void watched_folders_forget(struct watched *watched);

/* The file with that descriptor; NULL if there is none. */
struct watched_file *watched_file_find(struct watched *watched, int descriptor);

/* The same, known to be in that folder (NOWHERE: in none), and a new one if there is none; NULL when out
 * of memory. */
struct watched_file *watched_file_add(struct watched *watched, int descriptor, int folder);

/* The kernel watches it no more. */
void watched_file_gone(struct watched *watched, struct watched_file *file);

/* Watches it no more, and frees it. */
void watched_file_free(struct watched *watched, struct watched_file *file);
