#include "serve/store.h"

#include "base/clock.h"
#include "base/number.h"
#include "ipc/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BUCKETS 256
#define NOTES_MOST    4096
#define ALIASES_MOST  16

_Static_assert(
	sizeof(struct image_key) == 40 + sizeof(struct image_options) + 4, "keys have no padding");
_Static_assert(sizeof(struct image_options) == 12, "options have no padding");

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
		.places = calloc(segments, sizeof *store->places),
		.noted = calloc((size_t)head->seats * WIRE_HOLDS, sizeof *store->noted),
		.cuts = calloc(segments, sizeof *store->cuts),
		.instance = head_seat(head, 0)->instance};
	pthread_mutex_init(&store->lock, NULL);
	while (store->places && store->segments < segments &&
		place_init(&store->places[store->segments], budget))
		store->segments++;
	if (store->images && store->names && store->noted && store->cuts &&
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

static void free_list(struct stored_list *list)
{
	for (struct stored *image = list->oldest, *newer; image; image = newer) {
		newer = image->newer;
		free_aliases(image);
		free(image);
	}
}

void store_release(struct store *store)
{
	free_list(&store->ready);
	free_list(&store->notes);
	for (unsigned i = 0; i < store->segments; i++)
		place_release(&store->places[i]);
	free(store->places);
	free(store->images);
	free(store->names);
	free(store->noted);
	free(store->cuts);
	pthread_mutex_destroy(&store->lock);
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo), folded so that the low bits depend on all. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_key(const struct image_key *key)
{
	uint64_t hash = hash_bytes(HASH_START, key, sizeof *key);

	return hash ^ hash >> 32;
}

static uint64_t hash_name(const char *name, uint32_t kind, const struct image_options *options)
{
	uint64_t hash = hash_bytes(HASH_START ^ kind, options, sizeof *options);

	hash = hash_bytes(hash, name, strlen(name));
	return hash ^ hash >> 32;
}

static struct stored **image_bucket(const struct store *store, const struct image_key *key)
{
	return &store->images[hash_key(key) & (store->buckets - 1)];
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

	if (store->ready.count + store->notes.count < old)
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

static void list_append(struct stored_list *list, struct stored *image)
{
	image->older = list->newest;
	image->newer = NULL;
	*(list->newest ? &list->newest->newer : &list->oldest) = image;
	list->newest = image;
	list->count++;
}

static struct stored_list *list_of(struct store *store, const struct stored *image)
{
	return image->extent ? &store->ready : &store->notes;
}

/* Drops what nobody waits for, holds or finds. */
static void discard(struct store *store, struct stored *image)
{
	store_forget(store, image);
	list_remove(list_of(store, image), image);
	if (image->extent)
		place_give(&store->places[image->segment], image->extent);
	free(image);
}

/* The oldest notes make way; those still being decoded are not notes yet. */
static void limit_notes(struct store *store)
{
	struct stored *image = store->notes.oldest;

	while (image && store->notes.count > NOTES_MOST) {
		struct stored *newer = image->newer;

		if (image->state != STORED_DECODING)
			discard(store, image);
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
	list_append(&store->notes, image);
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
	free(alias);
}

void store_name(struct store *store, struct stored *image, const char *name, const char *path,
	const struct watch_mark *mark, uint64_t now)
{
	struct alias *alias = store_alias(store, name, image->key.kind, &image->key.options),
		     **bucket;
	size_t length = strlen(name) + 1, count = 0;

	if (alias && alias->image == image && !strcmp(alias->path, path)) {
		alias->mark = *mark;
		alias->checked_at = now;
		return;
	}
	if (alias)
		unlink_alias(store, alias);
	for (alias = image->aliases; alias; alias = alias->next)
		count++;
	alias = count < ALIASES_MOST ? malloc(sizeof *alias + length + strlen(path) + 1) : NULL;
	if (!alias)
		return;
	*alias = (struct alias){.image = image,
		.next = image->aliases,
		.mark = *mark,
		.checked_at = now,
		.hash = hash_name(name, image->key.kind, &image->key.options),
		.kind = image->key.kind,
		.options = image->key.options,
		.path = alias->name + length};
	strcpy(alias->name, name);
	strcpy(alias->path, path);
	image->aliases = alias;
	bucket = name_bucket(store, alias->hash);
	alias->chain = *bucket;
	*bucket = alias;
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
	image->findable = false;
}

void store_touch(struct store *store, struct stored *image)
{
	struct stored_list *list = list_of(store, image);

	if (list->newest == image)
		return;
	list_remove(list, image);
	list_append(list, image);
}

/* The numbers in the hold words of all seats that somebody sits on. */
struct held {
	uint64_t *numbers;
	size_t count;
};

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t *noted_holds(const struct store *store, unsigned seat)
{
	return store->noted + (size_t)seat * WIRE_HOLDS;
}

void store_note_hold(struct store *store, unsigned seat, unsigned hold, uint64_t number)
{
	noted_holds(store, seat)[hold] = number;
}

void store_restore_holds(struct store *store, unsigned seat)
{
	struct wire_seat *page = head_seat(store->head, seat);

	/* Who has the seat may have a later word there already. */
	for (size_t i = 0; i < WIRE_HOLDS; i++) {
		uint64_t nothing = 0;

		atomic_compare_exchange_strong(
			&page->holds[i], &nothing, noted_holds(store, seat)[i]);
	}
}

/*
 * What a seat holds: its words, if its page is still the one that was made for it, else what we
 * remember of them. Where the words are true, what was let go is forgotten.
 */
static size_t seat_holds(const struct store *store, unsigned seat, uint64_t numbers[WIRE_HOLDS])
{
	uint64_t words[WIRE_HOLDS], *noted = noted_holds(store, seat);
	size_t count = 0;
	bool whole;

	for (size_t i = 0; i < WIRE_HOLDS; i++)
		words[i] = atomic_load(&head_seat(store->head, seat)->holds[i]);
	whole = head_seat_whole(store->head, seat, store->instance);
	for (size_t i = 0; i < WIRE_HOLDS; i++) {
		if (whole && words[i] != noted[i])
			noted[i] = 0;
		if (whole && words[i])
			numbers[count++] = words[i];
		else if (!whole && noted[i])
			numbers[count++] = noted[i];
	}
	return count;
}

/*
 * Hold words are written by us under the lock that we have, so nobody can begin to hold anything
 * meanwhile; that somebody lets go is no harm. Words of a seat without a holder are void.
 */
static bool collect_held(const struct store *store, struct held *ret)
{
	const struct head *head = store->head;
	size_t room = (size_t)head->seats * WIRE_HOLDS, count = 0;
	uint64_t *numbers = malloc(room * sizeof *numbers);

	if (!numbers)
		return false;
	for (unsigned seat = 0; seat < head->seats; seat++) {
		size_t held = seat_holds(store, seat, numbers + count);

		if (held && lock_held(head->segment.fd, wire_seat_lock(seat), 1) != 0)
			count += held;
	}
	qsort(numbers, count, sizeof *numbers, compare_numbers);
	*ret = (struct held){.numbers = numbers, .count = count};
	return true;
}

static bool is_held(const struct held *held, const struct stored *image)
{
	return held->count && bsearch(&image->number, held->numbers, held->count,
				      sizeof *held->numbers, compare_numbers);
}

void store_sums(const struct store *store, uint64_t *ret_backed, uint64_t *ret_used)
{
	*ret_backed = *ret_used = 0;
	for (unsigned i = 0; i < store->segments; i++) {
		*ret_backed += store->places[i].backed;
		*ret_used += store->places[i].used;
	}
}

/* Evicts the least recently used image of a segment (of every other segment than it, if `others`)
 * that nobody holds. The bytes of the free run that this makes or enlarges; 0 if there was none. */
static uint64_t evict_one(
	struct store *store, const struct held *held, unsigned segment, bool others)
{
	uint64_t run;

	for (struct stored *image = store->ready.oldest; image; image = image->newer) {
		if ((image->segment == segment) == others || is_held(held, image))
			continue;
		run = place_run(image->extent);
		discard(store, image);
		store->evictions++;
		return run;
	}
	return 0;
}

/* Gives warm room of other segments back to the system until `excess` bytes are gone; what is left
 * of it. */
static uint64_t cool_others(struct store *store, unsigned segment, uint64_t excess)
{
	for (unsigned i = 0; i < store->segments && excess; i++) {
		struct extent *warm;

		while (i != segment && excess && (warm = place_first_warm(&store->places[i]))) {
			uint64_t length = warm->length;

			if (fallocate(store->data[i].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    (off_t)warm->offset, (off_t)length) != 0)
				break;
			place_cool(&store->places[i], warm);
			excess -= length < excess ? length : excess;
		}
	}
	return excess;
}

static uint64_t excess_of(const struct store *store, uint64_t cold)
{
	uint64_t backed, used;

	store_sums(store, &backed, &used);
	return backed + cold > store->budget ? backed + cold - store->budget : 0;
}

static int no_room(
	const struct store *store, const struct held *held, uint64_t bytes, struct error *err)
{
	char need[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE], allowed[SIZE_TEXT_SIZE];
	uint64_t total = 0;

	for (const struct stored *image = store->ready.oldest; image; image = image->newer)
		if (is_held(held, image))
			total += image->extent->length;
	return error_set(err, STATUS_TRY_AGAIN,
		"no room in the store: %s needed, %s held by clients, %s allowed (--cache)",
		format_size(bytes, need), format_size(total, have),
		format_size(store->budget, allowed));
}

/* Finds the run of free extents for `bytes`, evicting what it takes; UINT64_MAX if it cannot be
 * had. */
static uint64_t clear_run(struct store *store, const struct held *held, unsigned segment,
	uint64_t bytes, struct extent **ret_first)
{
	struct place *place = &store->places[segment];
	bool own = true;

	for (;;) {
		uint64_t cold = place_find(place, bytes, ret_first);
		uint64_t excess = cold == UINT64_MAX ? 0 : excess_of(store, cold);

		if (cold != UINT64_MAX && !excess)
			return cold;
		/* This segment's own images first: their room is warm. Where no run would do, only
		 * the one that has just grown may, and only then is the whole worth a search. */
		while (own) {
			uint64_t run = evict_one(store, held, segment, false);

			own = run != 0;
			if (own && (cold != UINT64_MAX || run >= bytes))
				break;
		}
		if (own)
			continue;
		if (cold == UINT64_MAX)
			return UINT64_MAX;
		if (cool_others(store, segment, excess) == 0)
			continue;
		if (!evict_one(store, held, segment, true))
			return UINT64_MAX;
	}
}

int store_make_room(struct store *store, unsigned segment, uint64_t bytes, struct extent **ret,
	struct error *err)
{
	struct place *place = &store->places[segment];
	struct extent *first, *extent;
	struct held held;
	int status = STATUS_OK, failed;
	uint64_t cold;

	if (!size_align(bytes, PLACE_PAGE, &bytes) || bytes > store->budget) {
		held = (struct held){0};
		return no_room(store, &held, bytes, err);
	}
	/* Growing a segment makes it harder to see that somebody has cut it off. */
	store_check_segments(store);
	if (!collect_held(store, &held))
		return error_os(err, ENOMEM, "no memory to look for room");
	cold = clear_run(store, &held, segment, bytes, &first);
	if (cold == UINT64_MAX) {
		status = no_room(store, &held, bytes, err);
		store->refusals++;
	}
	free(held.numbers);
	if (status)
		return status;
	extent = place_take(place, first, bytes);
	if (!extent)
		return error_os(err, ENOMEM, "no memory to make room");
	if (cold) {
		do
			failed = posix_fallocate(
				store->data[segment].fd, (off_t)extent->offset, (off_t)bytes);
		while (failed == EINTR);
		if (failed) {
			place_give(place, extent);
			/* All of it counts as cold: punching also drops what the failed call had
			 * got. */
			while ((first = place_first_warm(place)) &&
				fallocate(store->data[segment].fd,
					FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)first->offset, (off_t)first->length) == 0)
				place_cool(place, first);
			return failed == ENOSPC
				       ? segment_full(cold, err)
				       : error_os(err, failed, "cannot reserve shared memory");
		}
		if (extent->offset + bytes > store->data[segment].size)
			store->data[segment].size = extent->offset + bytes;
		store_check_segments(store);
	}
	*ret = extent;
	return STATUS_OK;
}

struct extent *store_spare_room(struct store *store, unsigned segment, uint64_t most)
{
	struct extent *warm = place_longest_warm(&store->places[segment]);

	if (!warm)
		return NULL;
	return place_take(&store->places[segment], warm, warm->length < most ? warm->length : most);
}

void store_give_room(struct store *store, unsigned segment, struct extent *extent)
{
	place_give(&store->places[segment], extent);
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
	list_remove(&store->notes, image);
	image->segment = segment;
	image->extent = extent;
	list_append(&store->ready, image);
	if (size_align(decoded->total, PLACE_PAGE, &whole))
		place_trim(&store->places[segment], extent, whole);
}

void store_failed(struct stored *image, const struct error *failure, bool killed)
{
	static const char refused[] = "; it has killed two decoders and gets no third";
	size_t used = strnlen(failure->text, sizeof failure->text - sizeof refused);

	image->state = STORED_FAILED;
	image->failure = *failure;
	image->deaths += killed;
	if (image->deaths < DEATHS_MOST)
		return;
	image->failure.status = STATUS_BAD_DATA;
	memcpy(image->failure.text + used, refused, sizeof refused);
}

void store_settled(struct store *store, struct stored *image)
{
	bool passing = image->state == STORED_FAILED && !image->deaths &&
		       image->failure.status != STATUS_BAD_DATA;

	if (!image->extent && (passing || !image->findable))
		discard(store, image);
}

unsigned store_holders(const struct store *store, const struct stored *image)
{
	unsigned holders = 0;

	for (unsigned seat = 0; seat < store->head->seats; seat++) {
		const struct wire_seat *page = head_seat(store->head, seat);
		size_t i = 0;

		while (i < WIRE_HOLDS && atomic_load(&page->holds[i]) != image->number)
			i++;
		if (i < WIRE_HOLDS &&
			lock_held(store->head->segment.fd, wire_seat_lock(seat), 1) == 1)
			holders++;
	}
	return holders;
}

/*
 * Makes the extents that exist exist again, where the segment was cut off, and the segment as long
 * as it was. Cold extents stay holes: they are not within the budget. Without room it stays short,
 * and is found so again.
 */
static void regrow(const struct store *store, unsigned index)
{
	int fd = store->data[index].fd, failed = 0;
	struct stat status;

	for (const struct extent *at = store->places[index].first; at && !failed; at = at->after) {
		if (at->kind == EXTENT_COLD)
			continue;
		do
			failed = posix_fallocate(fd, (off_t)at->offset, (off_t)at->length);
		while (failed == EINTR);
	}
	if (!failed && fstat(fd, &status) == 0 &&
		(uint64_t)status.st_size < store->data[index].size)
		ftruncate(fd, (off_t)store->data[index].size);
}

/* Neither shorter nor emptier than we made it: a segment that was cut off may have grown since. */
static bool segment_whole(const struct store *store, unsigned index)
{
	struct stat status;

	return fstat(store->data[index].fd, &status) != 0 ||
	       ((uint64_t)status.st_size >= store->data[index].size &&
		       (uint64_t)status.st_blocks * 512 >= store->places[index].backed);
}

size_t store_check_segments(struct store *store)
{
	size_t lost = 0;

	for (unsigned i = 0; i < store->segments; i++) {
		if (segment_whole(store, i))
			continue;
		for (struct stored *image = store->ready.oldest; image; image = image->newer)
			if (image->segment == i && image->findable) {
				store_forget(store, image);
				lost++;
			}
		/* Before zeros can be read there. */
		store->cuts[i]++;
		store->all_cuts++;
		atomic_store(&head_server(store->head)->cuts, store->all_cuts);
		regrow(store, i);
	}
	return lost;
}
