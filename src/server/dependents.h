/*
 * What relies on names and files staying as they are: a set, to be asked with each event of inotify
 * who relies on what it tells of. By the name: other files of a folder may change all the time.
 */
#pragma once

#include "base/hash_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A name in a watched folder, or a watched file. */
struct dependency {
	struct hash_table_link link; /* by the hash of what it is */
	struct dependent *owner;
};

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
	struct hash_table dependencies;
	struct dependent *first;
	dependents_changed *changed;
	void *context;
};

void dependents_release(struct dependents *set);

/*
 * What a watch with that descriptor is of, any name in its folder, and a name of `length` bytes there,
 * as hashes. (If two of them were the same, that would tell of a change that was none.)
 */
uint64_t dependents_file(int descriptor);
uint64_t dependents_folder(int descriptor);
uint64_t dependents_name(int descriptor, const char *name, size_t length);

/* Takes it up: it relies on a name, or any in a folder, and on a file. */
void dependents_add(
	struct dependents *set, struct dependent *dependent, uint64_t name, uint64_t file);

/* Takes it out, if it is in the set, without telling anybody. */
void dependents_remove(struct dependents *set, struct dependent *dependent);

/* Something happened to that: all that rely on it have changed. */
void dependents_hit(struct dependents *set, uint64_t hash);
void dependents_hit_all(struct dependents *set);
