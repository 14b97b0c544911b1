/*
 * A decoder writes into its own segment only, and there what makes way must be neighbours. So the
 * least recently used images alone would not do: freed one by one until there happen to be enough
 * of them side by side, they would leave a segment full of holes. Of all neighbours whose room
 * would do, together with the room between them, those make way of which the most recently used one
 * was used longest ago.
 *
 * Before that all those make way that no name leads to any more. What is held counts as used when
 * that is seen, so that it is not looked at again each time.
 *
 * Segments share the budget. Once it is spent, a decode makes way in its own segment, and is given
 * to the decoder in whose segment lies what was used longest ago of all: so this is the order of
 * last use over the whole store, up to the size of what lies side by side.
 *
 * Images of the window (window.h) make way last, and for an image that somebody waits for only.
 */
#include "server/evict.h"

#include "server/recency.h"
#include "server/window.h"

#include <stdlib.h>

/* So many images that no name leads to are looked at each time, as they may all be held. */
#define UNNAMED_LOOKS 16

static uint64_t spare_bytes(const struct store *store)
{
	uint64_t backed, used;

	store_sums(store, &backed, &used);
	/* It is exceeded where the system did not take room back. */
	return backed < store->budget ? store->budget - backed : 0;
}

static uint64_t backed_bytes(const struct store *store)
{
	uint64_t backed, used;

	store_sums(store, &backed, &used);
	return backed - used;
}

static void evict(struct store *store, struct stored *image)
{
	store_discard(store, image);
	store->evictions++;
}

bool evict_collect(const struct store *store, struct held *ret)
{
	if (!held_collect(store->head, ret))
		return false;
	ret->moment = store->index.removals;
	return true;
}

/* Until it was out of the index, requesters could find an image and hold it. False if nothing was
 * taken out since `held` was collected. */
static bool renew_held(const struct store *store, struct held *held)
{
	if (held->moment == store->index.removals)
		return false;
	free(held->numbers);
	*held = (struct held){.everything = true};
	evict_collect(store, held);
	return true;
}

static bool any_held(const struct held *held, const struct stored *leaving)
{
	while (leaving && !held_contains(held, leaving->number))
		leaving = leaving->next_leaving;
	return leaving;
}

/* Evicts images that were not held. False, with all of them still stored, if one is by now: then
 * `held` says so. */
static bool evict_all(struct store *store, struct held *held, struct stored *leaving)
{
	index_writer_begin(&store->index);
	for (struct stored *image = leaving; image; image = image->next_leaving)
		for (struct alias *alias = image->aliases; alias; alias = alias->next)
			index_writer_remove(&store->index, alias);
	index_writer_end(&store->index);
	if (renew_held(store, held) && any_held(held, leaving))
		return false;
	for (struct stored *next; leaving; leaving = next) {
		next = leaving->next_leaving;
		evict(store, leaving);
	}
	return true;
}

/* Whether an image is held, which makes it the most recently used of its list. */
static bool stays(struct store *store, const struct held *held, struct stored *image)
{
	image->stays = held_contains(held, image->number);
	if (image->stays)
		store_touch(store, image);
	return image->stays;
}

/* Of so many images that no name leads to, evicts those that nobody holds; the bytes that they had. */
static uint64_t evict_unnamed(struct store *store, struct held *held, size_t looks)
{
	uint64_t bytes = 0;

	renew_held(store, held);
	if (looks > store->unnamed.count)
		looks = store->unnamed.count;
	for (; looks; looks--) {
		struct stored *image = store->unnamed.oldest;

		if (stays(store, held, image))
			continue;
		bytes += image->extent->length;
		evict(store, image);
	}
	return bytes;
}

static struct extent *free_run(
	const struct store *store, unsigned segment, uint64_t bytes, uint64_t spare)
{
	struct extent *found;
	uint64_t holes = arena_find(&store->arenas[segment], bytes, &found);

	return holes != UINT64_MAX && holes <= spare ? found : NULL;
}

/*
 * The neighbours in the segment whose room would do for `bytes`, with at most `spare` of them in
 * holes, of which the one used last was used longest ago; *ret_since is when. NULL if there are none; then
 * each image was looked at.
 */
static struct extent *oldest_run(struct store *store, const struct held *held, unsigned segment,
	uint64_t bytes, uint64_t spare, uint64_t *ret_since)
{
	const struct stored *newest = store->ready.newest;
	struct arena *arena = &store->arenas[segment];
	struct extent *found = free_run(store, segment, bytes, spare);

	*ret_since = 0;
	if (found)
		return found;
	arena_plan_begin(arena);
	for (struct stored *image = store->ready.oldest, *newer; image; image = newer) {
		newer = image == newest ? NULL : image->newer;
		*ret_since = image->used_at;
		if (!stays(store, held, image) && image->segment == segment &&
			arena_plan_add(arena, image->extent, bytes, spare, &found))
			return found;
	}
	return NULL;
}

/* Evicts what lies there; all of it was last used at `since` or before. False as evict_all says. */
static bool evict_run(struct store *store, struct held *held, unsigned segment,
	const struct extent *first, uint64_t bytes, uint64_t since)
{
	uint64_t begin = first->offset, end = begin + bytes;
	struct stored *leaving = NULL;

	for (struct stored *image = store->ready.oldest; image && image->used_at <= since;
		image = image->newer) {
		const struct extent *extent = image->extent;

		if (image->segment != segment || extent->offset >= end ||
			extent->offset + extent->length <= begin)
			continue;
		image->next_leaving = leaving;
		leaving = image;
	}
	return evict_all(store, held, leaving);
}

/* Images that do not stay, in the order of use, which make as many bytes backed somewhere. NULL, with
 * *ret_enough saying whether there are as many already, if all of them would not do. */
static struct stored *oldest_anywhere(const struct store *store, uint64_t bytes, bool *ret_enough)
{
	struct stored *leaving = NULL;
	uint64_t sum = backed_bytes(store);

	for (struct stored *image = store->ready.oldest; image && sum < bytes;
		image = image->newer) {
		if (image->stays)
			continue;
		sum += image->extent->length;
		image->next_leaving = leaving;
		leaving = image;
	}
	*ret_enough = sum >= bytes;
	return *ret_enough ? leaving : NULL;
}

int evict_choose_segment(const struct store *store, const bool *busy)
{
	unsigned looks = UNNAMED_LOOKS;
	int found = -1;

	for (const struct stored *image = store->unnamed.oldest; image && looks;
		image = image->newer, looks--)
		if (!busy[image->segment] && !image->stays)
			return (int)image->segment;
	for (const struct stored *image = store->evictions ? store->ready.oldest : NULL; image;
		image = image->newer)
		if (!busy[image->segment] && !image->stays)
			return (int)image->segment;
	for (unsigned i = 0; i < store->segments; i++)
		if (!busy[i] &&
			(found < 0 || store->arenas[i].backed < store->arenas[found].backed))
			found = (int)i;
	return found;
}

/* What lies where room is to be; NULL, with nothing evicted, if it cannot be had, or if *ret_again
 * says that somebody began to hold an image meanwhile. */
static struct extent *choose_run(struct store *store, struct held *held, unsigned segment,
	uint64_t bytes, uint64_t *ret_since, bool *ret_again)
{
	uint64_t spare = spare_bytes(store);
	struct stored *leaving;
	struct extent *run;
	bool enough;

	*ret_again = false;
	/* Before room that does not exist yet is taken: a camera's next picture fits there. */
	if (!free_run(store, segment, bytes, 0))
		spare += evict_unnamed(store, held, UNNAMED_LOOKS);
	run = oldest_run(store, held, segment, bytes, spare, ret_since);
	if (!run && store->unnamed.count) {
		spare += evict_unnamed(store, held, SIZE_MAX);
		run = oldest_run(store, held, segment, bytes, spare, ret_since);
	}
	if (run)
		return run;
	/* The segment's share of the budget is too small: it gets some of the others'. */
	if (!oldest_run(store, held, segment, bytes, UINT64_MAX, ret_since))
		return NULL;
	leaving = oldest_anywhere(store, bytes > spare ? bytes - spare : 0, &enough);
	if (!enough)
		return NULL;
	*ret_again = !evict_all(store, held, leaving);
	/* That may have evicted what lay there, and made a better one. */
	return *ret_again ? NULL : oldest_run(store, held, segment, bytes, UINT64_MAX, ret_since);
}

uint64_t evict_make_room(struct store *store, struct held *held, unsigned segment, uint64_t bytes,
	bool ahead, struct extent **ret_first)
{
	struct extent *run;
	uint64_t since;
	bool again;

	recency_take_in(store);
	/* It ends: what was found held is not in the index any more, and what the window gave up not
	 * in the window. */
	do {
		run = choose_run(store, held, segment, bytes, &since, &again);
		if (run)
			again = !evict_run(store, held, segment, run, bytes, since);
		else if (!again)
			again = !ahead && window_give_up(store, bytes);
	} while (again);
	return run ? arena_find(&store->arenas[segment], bytes, ret_first) : UINT64_MAX;
}

static bool evict_oldest_ready(struct store *store, struct held *held)
{
	for (size_t looks = store->ready.count; looks; looks--) {
		struct stored *image = store->ready.oldest;

		image->next_leaving = NULL;
		if (!stays(store, held, image) && evict_all(store, held, image))
			return true;
	}
	return false;
}

bool evict_oldest(struct store *store, struct held *held, bool ahead)
{
	if (evict_unnamed(store, held, SIZE_MAX))
		return true;
	recency_take_in(store);
	do
		if (evict_oldest_ready(store, held))
			return true;
	while (!ahead && window_give_up(store, 1));
	return false;
}
