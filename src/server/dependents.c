#include "server/dependents.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 256

void dependents_release(struct dependents *set)
{
	free(set->buckets);
	set->buckets = NULL;
}

uint64_t dependents_hash(const char *name, size_t length)
{
	uint64_t hash = hash_keyed(name, length);

	return hash > DEPENDENCY_FOLDER ? hash : hash + 2;
}

static struct dependency **bucket_of(const struct dependents *set, int descriptor, uint64_t hash)
{
	uint64_t mixed = (hash + (uint64_t)descriptor) * UINT64_C(0x9e3779b97f4a7c15);

	return &set->buckets[(mixed >> 32) & (set->size - 1)];
}

/* First in its bucket: many may rely on the same thing, as all images of a shard do. */
static void push(struct dependency **bucket, struct dependency *dependency)
{
	dependency->chain = *bucket;
	dependency->at = bucket;
	if (*bucket)
		(*bucket)->at = &dependency->chain;
	*bucket = dependency;
}

/* Twice the buckets once there is one dependency for each; without memory it stays slow. */
static bool make_room(struct dependents *set)
{
	struct dependents grown = *set;

	if (set->count + 2 <= set->size)
		return true;
	grown.size = set->size ? 2 * set->size : FIRST_BUCKETS;
	grown.buckets = calloc(grown.size, sizeof(struct dependency *));
	if (!grown.buckets)
		return set->size;
	for (size_t i = 0; i < set->size; i++)
		for (struct dependency *at = set->buckets[i], *next; at; at = next) {
			struct dependency **bucket = bucket_of(&grown, at->descriptor, at->hash);

			next = at->chain;
			push(bucket, at);
		}
	free(set->buckets);
	*set = grown;
	return true;
}

static void link_to(struct dependents *set, struct dependency *dependency, struct dependent *owner,
	int descriptor, uint64_t hash)
{
	*dependency = (struct dependency){.owner = owner, .descriptor = descriptor, .hash = hash};
	push(bucket_of(set, descriptor, hash), dependency);
	set->count++;
}

static void unlink_from(struct dependents *set, struct dependency *dependency)
{
	*dependency->at = dependency->chain;
	if (dependency->chain)
		dependency->chain->at = dependency->at;
	set->count--;
}

bool dependents_add(
	struct dependents *set, struct dependent *dependent, int folder, uint64_t name, int file)
{
	dependents_remove(set, dependent);
	if (!make_room(set))
		return false;
	link_to(set, &dependent->name, dependent, folder, name);
	link_to(set, &dependent->file, dependent, file, DEPENDENCY_FILE);
	dependent->tracked = true;
	dependent->changed = false;
	dependent->previous = NULL;
	dependent->next = set->first;
	if (set->first)
		set->first->previous = dependent;
	set->first = dependent;
	return true;
}

void dependents_remove(struct dependents *set, struct dependent *dependent)
{
	if (!dependent->tracked)
		return;
	unlink_from(set, &dependent->name);
	unlink_from(set, &dependent->file);
	*(dependent->previous ? &dependent->previous->next : &set->first) = dependent->next;
	if (dependent->next)
		dependent->next->previous = dependent->previous;
	dependent->tracked = false;
}

static void change(struct dependents *set, struct dependent *dependent)
{
	dependents_remove(set, dependent);
	dependent->changed = true;
	if (set->changed)
		set->changed(set->context, dependent);
}

void dependents_hit(struct dependents *set, int descriptor, uint64_t hash)
{
	struct dependency *at = set->size ? *bucket_of(set, descriptor, hash) : NULL;

	while (at) {
		bool hit = at->descriptor == descriptor && at->hash == hash;
		struct dependent *owner = at->owner;

		at = at->chain;
		if (!hit)
			continue;
		/* The next one may be the same one's other dependency. */
		while (at && at->owner == owner)
			at = at->chain;
		change(set, owner);
	}
}

void dependents_hit_all(struct dependents *set)
{
	while (set->first)
		change(set, set->first);
}
