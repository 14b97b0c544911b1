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
 */
#include "server/evict.h"

/* So many images that no name leads to are looked at each time, as they may all be held. */
#define UNNAMED_LOOKS 16

static uint64_t spare_bytes(const struct store *store)
{
	uint64_t backed, used;

	store_sums(store, &backed, &used);
	/* It is exceeded where the system did not take room back. */
	return backed < store->budget ? store->budget - backed : 0;
}

static uint64_t warm_bytes(const struct store *store)
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

/* Whether an image is held, which makes it the most recently used of its list. */
static bool stays(struct store *store, const struct held *held, struct stored *image)
{
	image->stays = held_contains(held, image->number);
	if (image->stays)
		store_touch(store, image);
	return image->stays;
}

/* Of so many images that no name leads to, evicts those that nobody holds; the bytes that they had. */
static uint64_t evict_unnamed(struct store *store, const struct held *held, size_t looks)
{
	uint64_t bytes = 0;

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
	uint64_t cold = arena_find(&store->arenas[segment], bytes, &found);

	return cold != UINT64_MAX && cold <= spare ? found : NULL;
}

/*
 * The neighbours in the segment whose room would do for `bytes`, with at most `spare` of them cold,
 * of which the one used last was used longest ago; *ret_since is when. NULL if there are none; then
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

/* Evicts what lies there; all of it was last used at `since` or before. */
static void evict_run(struct store *store, unsigned segment, const struct extent *first,
	uint64_t bytes, uint64_t since)
{
	uint64_t begin = first->offset, end = begin + bytes;

	for (struct stored *image = store->ready.oldest, *newer; image && image->used_at <= since;
		image = newer) {
		const struct extent *extent = image->extent;

		newer = image->newer;
		if (image->segment == segment && extent->offset < end &&
			extent->offset + extent->length > begin)
			evict(store, image);
	}
}

/* Evicts images that do not stay, in the order of use, until as many bytes are warm somewhere.
 * False, with nothing evicted, if all of them would not do. */
static bool evict_anywhere(struct store *store, uint64_t bytes)
{
	uint64_t sum = warm_bytes(store);

	for (const struct stored *image = store->ready.oldest; image && sum < bytes;
		image = image->newer)
		sum += image->stays ? 0 : image->extent->length;
	if (sum < bytes)
		return false;
	for (struct stored *image = store->ready.oldest, *newer; image && warm_bytes(store) < bytes;
		image = newer) {
		newer = image->newer;
		if (!image->stays)
			evict(store, image);
	}
	return true;
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

uint64_t evict_make_room(struct store *store, const struct held *held, unsigned segment,
	uint64_t bytes, struct extent **ret_first)
{
	uint64_t spare = spare_bytes(store), since;
	struct extent *run;

	if (!free_run(store, segment, bytes, spare))
		spare += evict_unnamed(store, held, UNNAMED_LOOKS);
	run = oldest_run(store, held, segment, bytes, spare, &since);
	if (!run && store->unnamed.count) {
		spare += evict_unnamed(store, held, SIZE_MAX);
		run = oldest_run(store, held, segment, bytes, spare, &since);
	}
	if (!run) {
		/* The segment's share of the budget is too small: it gets some of the others'. */
		run = oldest_run(store, held, segment, bytes, UINT64_MAX, &since);
		if (!run || !evict_anywhere(store, bytes > spare ? bytes - spare : 0))
			return UINT64_MAX;
		/* That may have evicted what lay there, and made a better one. */
		run = oldest_run(store, held, segment, bytes, UINT64_MAX, &since);
	}
	evict_run(store, segment, run, bytes, since);
	return arena_find(&store->arenas[segment], bytes, ret_first);
}

bool evict_oldest(struct store *store, const struct held *held)
{
	if (evict_unnamed(store, held, SIZE_MAX))
		return true;
	for (size_t looks = store->ready.count; looks; looks--) {
		struct stored *image = store->ready.oldest;

		if (stays(store, held, image))
			continue;
		evict(store, image);
		return true;
	}
	return false;
}
