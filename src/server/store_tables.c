#include "server/store_tables.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(
	sizeof(struct image_key) == 56 + sizeof(struct image_options) + 8, "keys have no padding");
_Static_assert(sizeof(struct image_options) == 48, "options have no padding");

uint64_t store_hash_name(const char *name, uint32_t kind, const struct image_options *options)
{
	uint64_t words[1 + sizeof *options / sizeof(uint64_t)] = {kind};

	memcpy(words + 1, options, sizeof *options);
	return hash_keyed_after(words, sizeof words / sizeof *words, name, strlen(name));
}

static struct stored **image_bucket(const struct store *store, const struct image_key *key)
{
	return &store->images[hash_keyed(key, sizeof *key) & (store->buckets - 1)];
}

static struct alias **name_bucket(const struct store *store, uint64_t hash)
{
	return &store->names[hash & (store->buckets - 1)];
}

/* Twice the buckets once there is more than one image for each; without memory it stays slow and
 * right. */
static void grow(struct store *store)
{
	size_t old = store->buckets;
	struct stored **images = store->images, **new_images;
	struct alias **names = store->names, **new_names;

	if (store_images(store) + store->negative.count < old)
		return;
	new_images = calloc(2 * old, sizeof *new_images);
	new_names = calloc(2 * old, sizeof *new_names);
	if (!new_images || !new_names) {
		free(new_images);
		free(new_names);
		return;
	}
	store->images = new_images;
	store->names = new_names;
	store->buckets = 2 * old;
	for (size_t i = 0; i < old; i++) {
		for (struct stored *image = images[i], *next; image; image = next) {
			struct stored **bucket = image_bucket(store, &image->key);

			next = image->chain;
			image->chain = *bucket;
			*bucket = image;
		}
		for (struct alias *alias = names[i], *next; alias; alias = next) {
			struct alias **bucket = name_bucket(store, alias->hash);

			next = alias->chain;
			alias->chain = *bucket;
			*bucket = alias;
		}
	}
	free(images);
	free(names);
}

void store_table_add(struct store *store, struct stored *image)
{
	struct stored **bucket;

	grow(store);
	bucket = image_bucket(store, &image->key);
	image->chain = *bucket;
	*bucket = image;
}

void store_table_remove(struct store *store, const struct stored *image)
{
	struct stored **at = image_bucket(store, &image->key);

	while (*at != image)
		at = &(*at)->chain;
	*at = image->chain;
}

void store_names_add(struct store *store, struct alias *alias)
{
	struct alias **bucket = name_bucket(store, alias->hash);

	alias->chain = *bucket;
	*bucket = alias;
}

void store_names_remove(struct store *store, const struct alias *alias)
{
	struct alias **at = name_bucket(store, alias->hash);

	while (*at != alias)
		at = &(*at)->chain;
	*at = alias->chain;
}

struct alias *store_alias(const struct store *store, const char *name, uint32_t kind,
	const struct image_options *options)
{
	uint64_t hash = store_hash_name(name, kind, options);

	for (struct alias *alias = *name_bucket(store, hash); alias; alias = alias->chain)
		if (alias->hash == hash && alias->kind == kind &&
			!memcmp(&alias->options, options, sizeof *options) &&
			!strcmp(alias->name, name))
			return alias;
	return NULL;
}

struct stored *store_find(const struct store *store, const struct image_key *key)
{
	for (struct stored *image = *image_bucket(store, key); image; image = image->chain)
		if (!memcmp(&image->key, key, sizeof *key))
			return image;
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
