#include "server/store.h"

#include "base/number.h"
#include "server/store_tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEGATIVE_MAX 4096
#define ALIASES_MAX  16

int store_init(struct store *store, struct head *head, struct segment *data, unsigned segments,
	uint64_t budget, struct error *err)
{
	*store = (struct store){.head = head,
		.data = data,
		.budget = budget,
		.next_number = 1,
		.arenas = calloc(segments, sizeof *store->arenas),
		.truncations = calloc(segments, sizeof *store->truncations),
		.damaged = calloc(segments, sizeof *store->damaged),
		.changing = calloc(segments, sizeof *store->changing),
		.window.seats = calloc(head->seats, sizeof *store->window.seats)};
	pthread_mutex_init(&store->lock, NULL);
	store->all_truncations = 1;
	atomic_store(&head_server(head)->truncations, store->all_truncations);
	while (store->arenas && store->segments < segments &&
		arena_init(&store->arenas[store->segments], budget))
		store->segments++;
	if (store->truncations && store->damaged && store->changing && store->window.seats &&
		store->segments == segments)
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
	free_list(store, &store->window.images);
	free_list(store, &store->negative);
	for (unsigned i = 0; i < store->segments; i++)
		arena_release(&store->arenas[i]);
	free(store->arenas);
	hash_table_release(&store->images);
	hash_table_release(&store->names);
	free(store->truncations);
	free(store->damaged);
	free(store->changing);
	free(store->window.seats);
	index_writer_release(&store->index);
	pthread_mutex_destroy(&store->lock);
}

void store_discard(struct store *store, struct stored *image)
{
	store_forget(store, image);
	store_list_remove(store, image);
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
	struct stored *image = calloc(1, sizeof *image);

	if (!image)
		return NULL;
	limit_notes(store);
	image->key = *key;
	image->state = STORED_DECODING;
	image->number = store->next_number++;
	image->findable = true;
	store_table_add(store, image);
	store_list_append(store, image);
	return image;
}

static void unlink_alias(struct store *store, struct alias *alias)
{
	struct alias **at = &alias->image->aliases;

	hash_table_remove(&store->names, &alias->by_name);
	while (*at != alias)
		at = &(*at)->next;
	*at = alias->next;
	watch_untrack(store->watch, &alias->dependent);
	index_writer_remove(&store->index, alias);
	store_list_unnamed(store, alias->image, !alias->image->aliases);
	free(alias);
}

/* What was known of the name at `now` holds until its file or its name changes. */
static void alias_checked(
	struct store *store, struct alias *alias, const struct watch_token *token, uint64_t now)
{
	alias->token = *token;
	alias->checked_at = now;
	if (store->watch)
		watch_track(
			store->watch, &alias->dependent, token, alias->image->file, alias->name);
}

struct alias *store_name(struct store *store, struct stored *image, const char *name,
	const char *path, const struct watch_token *token, uint64_t now)
{
	struct alias *alias = store_alias(store, name, image->key.kind, &image->key.options);
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
		.kind = image->key.kind,
		.options = image->key.options,
		.path = alias->name + length};
	strcpy(alias->name, name);
	strcpy(alias->path, path);
	image->aliases = alias;
	store_list_unnamed(store, image, false);
	store_names_add(store, alias);
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
	if (!image->findable)
		return;
	hash_table_remove(&store->images, &image->by_key);
	while (image->aliases)
		unlink_alias(store, image->aliases);
	store_list_unnamed(store, image, true);
	image->findable = false;
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
	store_list_remove(store, image);
	image->segment = segment;
	image->extent = extent;
	store_list_append(store, image);
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

void store_tell_sums(const struct store *store)
{
	struct wire_server *page = head_server(store->head);
	uint64_t backed, used;

	store_sums(store, &backed, &used);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_BACKED], backed);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_USED], used);
	atomic_store(&page->counters[WIRE_COUNT_IMAGES], store_images(store));
	atomic_store(&page->counters[WIRE_COUNT_EVICTIONS], store->evictions);
}
