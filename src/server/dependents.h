/*
 * What relies on names and files staying as they are: a set, to be asked with each event of inotify
 * who relies on what it tells of. By the name: other files of a folder may change all the time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A name in a watched folder, or a watched file. */
struct dependency {
	struct dependency *chain, **at; /* the next one, and what points to this one */
	struct dependent *owner;
	int descriptor; /* of the watch */
	uint64_t hash;  /* of the name; DEPENDENCY_FILE, DEPENDENCY_FOLDER */
};

#define DEPENDENCY_FILE   0 /* what the watch itself is of */
#define DEPENDENCY_FOLDER 1 /* any name in the folder */

/* Zeros are one that relies on nothing. */
struct dependent {
	bool tracked; /* in the set: nothing it relies on has changed */
	bool changed; /* it was in the set, and something changed */
	struct dependency name, file;
	struct dependent *previous, *next; /* in the set */
};

/* Told of each that has changed, which is out of the set then. */
typedef void dependents_changed(void *context, struct dependent *dependent);

struct dependents {
	struct dependency **buckets;
	size_t size, count; /* buckets, a power of two; dependencies */
	struct dependent *first;
	dependents_changed *changed;
	void *context;
};

void dependents_release(struct dependents *set);

/* The hash of a name of `length` bytes: neither DEPENDENCY_FILE nor DEPENDENCY_FOLDER. */
uint64_t dependents_hash(const char *name, size_t length);

/* Takes it up; `name` is a hash. False when out of memory. */
bool dependents_add(
	struct dependents *set, struct dependent *dependent, int folder, uint64_t name, int file);

/* Takes it out, if it is in the set, without telling anybody. */
void dependents_remove(struct dependents *set, struct dependent *dependent);

/* Something happened to that: all that rely on it have changed. */
void dependents_hit(struct dependents *set, int descriptor, uint64_t hash);
void dependents_hit_all(struct dependents *set);
