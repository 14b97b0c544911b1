#include "server/store_tables.h"

#include "base/hash.h"

#include <string.h>

_Static_assert(
	sizeof(struct image_key) == 56 + sizeof(struct image_options) + 8, "keys have no padding");
_Static_assert(sizeof(struct image_options) == 48, "options have no padding");

static uint64_t hash_name(const char *name, uint32_t kind, const struct image_options *options)
{
	uint64_t words[1 + sizeof *options / sizeof(uint64_t)] = {kind};

	memcpy(words + 1, options, sizeof *options);
	return hash_keyed_after(words, sizeof words / sizeof *words, name, strlen(name));
}

void store_table_add(struct store *store, struct stored *image)
{
	hash_table_add(&store->images, &image->by_key, hash_keyed(&image->key, sizeof image->key));
}

void store_names_add(struct store *store, struct alias *alias)
{
	hash_table_add(&store->names, &alias->by_name,
		hash_name(alias->name, alias->kind, &alias->options));
}

struct alias *store_alias(const struct store *store, const char *name, uint32_t kind,
	const struct image_options *options)
{
	struct hash_table_link *at = hash_table_first(
		&store->names, hash_name(name, kind, options));

	for (; at; at = hash_table_next(at)) {
		struct alias *alias = HASH_TABLE_ITEM(at, struct alias, by_name);

		if (alias->kind == kind && !memcmp(&alias->options, options, sizeof *options) &&
			!strcmp(alias->name, name))
			return alias;
	}
	return NULL;
}

struct stored *store_find(const struct store *store, const struct image_key *key)
{
	struct hash_table_link *at = hash_table_first(&store->images, hash_keyed(key, sizeof *key));

	for (; at; at = hash_table_next(at)) {
		struct stored *image = HASH_TABLE_ITEM(at, struct stored, by_key);

		if (!memcmp(&image->key, key, sizeof *key))
			return image;
	}
	return NULL;
}

static struct stored_list *list_of(struct store *store, const struct stored *image)
{
	if (!image->extent)
		return &store->negative;
	if (image->unnamed)
		return &store->unnamed;
	return image->prefetched.unused ? &store->window.images : &store->ready;
}

/* An image more or less in a list, which may be the window. */
static void count(struct store *store, struct stored_list *list, const struct stored *image, int by)
{
	list->count += (size_t)by;
	if (list != &store->window.images)
		return;
	store->window.seats[image->prefetched.seat].count += (size_t)by;
	store->window.bytes += (uint64_t)by * image->extent->length;
}

void store_list_remove(struct store *store, struct stored *image)
{
	struct stored_list *list = list_of(store, image);

	*(image->older ? &image->older->newer : &list->oldest) = image->newer;
	*(image->newer ? &image->newer->older : &list->newest) = image->older;
	image->older = image->newer = NULL;
	count(store, list, image, -1);
}

void store_list_append(struct store *store, struct stored *image)
{
	struct stored_list *list = list_of(store, image);
	struct stored *older = list->newest;

	image->used_at = ++store->uses;
	/* What was asked for first may be decoded last. */
	while (list == &store->window.images && older &&
		older->prefetched.order > image->prefetched.order)
		older = older->older;
	image->older = older;
	image->newer = older ? older->newer : list->oldest;
	*(older ? &older->newer : &list->oldest) = image;
	*(image->newer ? &image->newer->older : &list->newest) = image;
	count(store, list, image, 1);
}

void store_list_unnamed(struct store *store, struct stored *image, bool unnamed)
{
	if (image->unnamed == unnamed)
		return;
	store_list_remove(store, image);
	image->prefetched.unused = false;
	image->unnamed = unnamed;
	store_list_append(store, image);
}

void store_touch(struct store *store, struct stored *image)
{
	if (list_of(store, image)->newest == image)
		return;
	store_list_remove(store, image);
	store_list_append(store, image);
}
