#include "server/store.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BUCKETS 256
#define NEGATIVE_MAX  4096
#define ALIASES_MAX   16

_Static_assert(
	sizeof(struct image_key) == 40 + sizeof(struct image_options) + 8, "keys have no padding");
_Static_assert(sizeof(struct image_options) == 48, "options have no padding");

int store_init(struct store *store, const struct head *head, struct segment *data,
	unsigned segments, uint64_t budget, struct error *err)
{
	*store = (struct store){.head = head,
		.data = data,
		.budget = budget,
		.next_number = 1,
		.buckets = FIRST_BUCKETS,
		.images = calloc(FIRST_BUCKETS, sizeof *store->images),
		.names = calloc(FIRST_BUCKETS, sizeof *store->names),
		.arenas = calloc(segments, sizeof *store->arenas),
		.truncations = calloc(segments, sizeof *store->truncations),
		.damaged = calloc(segments, sizeof *store->damaged),
		.changing = calloc(segments, sizeof *store->changing)};
	pthread_mutex_init(&store->lock, NULL);
	store->all_truncations = 1;
	atomic_store(&head_server(head)->truncations, store->all_truncations);
	while (store->arenas && store->segments < segments &&
		arena_init(&store->arenas[store->segments], budget))
		store->segments++;
	if (store->images && store->names && store->truncations && store->damaged &&
		store->changing && store->segments == segments)
		return STATUS_OK;
	store_release(store);
	return error_os(err, ENOMEM, "cannot make the store");
}

static void free_aliases(struct stored *image)
{
	for (struct alias *alias = image->aliases, *next; alias; alias = next) {
		next = alias->next;
		free(alias);
	}
}

static void free_list(struct store *store, struct stored_list *list)
{
	for (struct stored *image = list->oldest, *newer; image; image = newer) {
		newer = image->newer;
		free_aliases(image);
		watch_drop(store->watch, image->file);
		free(image);
	}
}

void store_release(struct store *store)
{
	free_list(store, &store->ready);
	free_list(store, &store->unnamed);
	free_list(store, &store->negative);
	for (unsigned i = 0; i < store->segments; i++)
		arena_release(&store->arenas[i]);
	free(store->arenas);
	free(store->images);
	free(store->names);
	free(store->truncations);
	free(store->damaged);
	free(store->changing);
	index_writer_release(&store->index);
	pthread_mutex_destroy(&store->lock);
}

static uint64_t hash_name(const char *name, uint32_t kind, const struct image_options *options)
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
static void grow_tables(struct store *store)
{
	size_t old = store->buckets;
	struct stored **images = store->images, **new_images;
	struct alias **names = store->names, **new_names;

	if (store->ready.count + store->unnamed.count + store->negative.count < old)
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

struct alias *store_alias(const struct store *store, const char *name, uint32_t kind,
	const struct image_options *options)
{
	uint64_t hash = hash_name(name, kind, options);

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

static void list_remove(struct stored_list *list, struct stored *image)
{
	*(image->older ? &image->older->newer : &list->oldest) = image->newer;
	*(image->newer ? &image->newer->older : &list->newest) = image->older;
	image->older = image->newer = NULL;
	list->count--;
}

static void list_append(struct store *store, struct stored_list *list, struct stored *image)
{
	image->used_at = ++store->uses;
	image->older = list->newest;
	image->newer = NULL;
	*(list->newest ? &list->newest->newer : &list->oldest) = image;
	list->newest = image;
	list->count++;
}

static struct stored_list *list_of(struct store *store, const struct stored *image)
{
	if (!image->extent)
		return &store->negative;
	return image->unnamed ? &store->unnamed : &store->ready;
}

static void set_unnamed(struct store *store, struct stored *image, bool unnamed)
{
	if (image->unnamed == unnamed)
		return;
	list_remove(list_of(store, image), image);
	image->unnamed = unnamed;
	list_append(store, list_of(store, image), image);
}

void store_discard(struct store *store, struct stored *image)
{
	store_forget(store, image);
	list_remove(list_of(store, image), image);
	if (image->extent)
		arena_give(&store->arenas[image->segment], image->extent);
	watch_drop(store->watch, image->file);
	free(image);
}

/* The oldest notes make way; those still being decoded are not notes yet. */
static void limit_notes(struct store *store)
{
	struct stored *image = store->negative.oldest;

	while (image && store->negative.count > NEGATIVE_MAX) {
		struct stored *newer = image->newer;

		if (image->state != STORED_DECODING)
			store_discard(store, image);
		image = newer;
	}
}

struct stored *store_add(struct store *store, const struct image_key *key)
{
	struct stored *image = calloc(1, sizeof *image), **bucket;

	if (!image)
		return NULL;
	limit_notes(store);
	grow_tables(store);
	image->key = *key;
	image->state = STORED_DECODING;
	image->number = store->next_number++;
	image->findable = true;
	bucket = image_bucket(store, key);
	image->chain = *bucket;
	*bucket = image;
	list_append(store, &store->negative, image);
	return image;
}

static void unlink_alias(struct store *store, struct alias *alias)
{
	struct alias **at = name_bucket(store, alias->hash);

	while (*at != alias)
		at = &(*at)->chain;
	*at = alias->chain;
	at = &alias->image->aliases;
	while (*at != alias)
		at = &(*at)->next;
	*at = alias->next;
	watch_untrack(store->watch, &alias->dependent);
	index_writer_remove(&store->index, alias);
	set_unnamed(store, alias->image, !alias->image->aliases);
	free(alias);
}

/* What was known of the name at `now` holds until its file or its name changes. */
static void alias_checked(
	struct store *store, struct alias *alias, const struct watch_token *token, uint64_t now)
{
	const char *slash = strrchr(alias->name, '/');

	alias->token = *token;
	alias->checked_at = now;
	if (store->watch)
		watch_track(store->watch, &alias->dependent, token, alias->image->file,
			slash ? slash + 1 : alias->name);
}

struct alias *store_name(struct store *store, struct stored *image, const char *name,
	const char *path, const struct watch_token *token, uint64_t now)
{
	struct alias *alias = store_alias(store, name, image->key.kind, &image->key.options),
		     **bucket;
	size_t length = strlen(name) + 1, count = 0;

	if (alias && alias->image == image && !strcmp(alias->path, path)) {
		alias_checked(store, alias, token, now);
		return alias;
	}
	if (alias)
		unlink_alias(store, alias);
	for (alias = image->aliases; alias; alias = alias->next)
		count++;
	alias = count < ALIASES_MAX ? malloc(sizeof *alias + length + strlen(path) + 1) : NULL;
	if (!alias)
		return NULL;
	*alias = (struct alias){.image = image,
		.next = image->aliases,
		.hash = hash_name(name, image->key.kind, &image->key.options),
		.kind = image->key.kind,
		.options = image->key.options,
		.path = alias->name + length};
	strcpy(alias->name, name);
	strcpy(alias->path, path);
	image->aliases = alias;
	set_unnamed(store, image, false);
	bucket = name_bucket(store, alias->hash);
	alias->chain = *bucket;
	*bucket = alias;
	alias_checked(store, alias, token, now);
	return alias;
}

void store_watch(struct store *store, struct stored *image, struct watched_file *file)
{
	if (!file)
		return;
	watch_hold(file);
	watch_drop(store->watch, image->file);
	image->file = file;
}

void store_forget(struct store *store, struct stored *image)
{
	struct stored **at = image_bucket(store, &image->key);

	if (!image->findable)
		return;
	while (*at != image)
		at = &(*at)->chain;
	*at = image->chain;
	while (image->aliases)
		unlink_alias(store, image->aliases);
	set_unnamed(store, image, true);
	image->findable = false;
}

void store_touch(struct store *store, struct stored *image)
{
	struct stored_list *list = list_of(store, image);

	if (list->newest == image)
		return;
	list_remove(list, image);
	list_append(store, list, image);
}

void store_ready(struct store *store, struct stored *image, unsigned segment, struct extent *extent,
	const struct decoded *decoded, uint64_t now)
{
	uint64_t whole;

	image->state = STORED_READY;
	image->decoded = *decoded;
	image->decoded_at = now;
	if (!extent)
		return;
	list_remove(&store->negative, image);
	image->segment = segment;
	image->extent = extent;
	list_append(store, list_of(store, image), image);
	if (size_align(decoded->total, store->head->page, &whole))
		arena_trim(&store->arenas[segment], extent, whole);
}

void store_failed(struct stored *image, const struct error *failure, bool killed)
{
	static const char refused[] = "; it has killed two decoders and gets no third";
	size_t used = strnlen(failure->text, sizeof failure->text - sizeof refused);

	image->state = STORED_FAILED;
	image->failure = *failure;
	image->deaths += killed;
	if (image->deaths < DEATHS_MAX)
		return;
	image->failure.status = STATUS_BAD_DATA;
	memcpy(image->failure.text + used, refused, sizeof refused);
}

void store_settled(struct store *store, struct stored *image)
{
	bool passing = image->state == STORED_FAILED && !image->deaths &&
		       image->failure.status != STATUS_BAD_DATA;

	if (!image->extent && (passing || !image->findable))
		store_discard(store, image);
}
