#include "server/dependents.h"

#include "base/hash.h"

void dependents_release(struct dependents *set)
{
	hash_table_release(&set->dependencies);
}

/* Names' hashes are keyed, so that these two are as good as never among them. */
static uint64_t with_descriptor(int descriptor, uint64_t hash)
{
	return hash + (uint64_t)descriptor * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t dependents_file(int descriptor)
{
	return with_descriptor(descriptor, 0);
}

uint64_t dependents_folder(int descriptor)
{
	return with_descriptor(descriptor, 1);
}

uint64_t dependents_name(int descriptor, const char *name, size_t length)
{
	return with_descriptor(descriptor, hash_keyed(name, length));
}

void dependents_add(
	struct dependents *set, struct dependent *dependent, uint64_t name, uint64_t file)
{
	dependents_remove(set, dependent);
	dependent->name.owner = dependent->file.owner = dependent;
	hash_table_add(&set->dependencies, &dependent->name.link, name);
	hash_table_add(&set->dependencies, &dependent->file.link, file);
	dependent->tracked = true;
	dependent->changed = false;
	dependent->previous = NULL;
	dependent->next = set->first;
	if (set->first)
		set->first->previous = dependent;
	set->first = dependent;
}

void dependents_remove(struct dependents *set, struct dependent *dependent)
{
	if (!dependent->tracked)
		return;
	hash_table_remove(&set->dependencies, &dependent->name.link);
	hash_table_remove(&set->dependencies, &dependent->file.link);
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

void dependents_hit(struct dependents *set, uint64_t hash)
{
	for (struct hash_table_link *at; (at = hash_table_first(&set->dependencies, hash));)
		change(set, HASH_TABLE_ITEM(at, struct dependency, link)->owner);
}

void dependents_hit_all(struct dependents *set)
{
	while (set->first)
		change(set, set->first);
}
