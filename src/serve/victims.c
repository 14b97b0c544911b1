/*
 * A decoder writes into its own segment only, and there what makes way must be neighbours. So the
 * least recently used images alone would not do: freed one by one until there happen to be enough
 * of them side by side, they would leave a segment full of holes. Of all neighbours whose room
 * would do, together with the room between them, those make way of which the most recently used one
 * was used longest ago.
 *
 * Segments share the budget. Once it is spent, a decode makes way in its own segment, and is given
 * to the decoder in whose segment lies what was used longest ago of all: so this is the order of
 * last use over the whole store, up to the size of what lies side by side.
 */
#include "serve/victims.h"

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

/* Says in each image's extent when it was last used, or that it stays. */
static void mark_uses(const struct store *store, const struct held *held)
{
	for (struct stored *image = store->ready.oldest; image; image = image->newer)
		image->extent->used_at = held_contains(held, image->number) ? PLACE_STAYS
									    : image->used_at;
}

/* Of the images of the segment from `first` on, up to but without `end`, the one in the middle;
 * NULL if there are none. */
static struct stored *middle(struct stored *first, const struct stored *end, unsigned segment)
{
	size_t count = 0, before;

	for (const struct stored *image = first; image != end; image = image->newer)
		count += image->segment == segment;
	before = count / 2;
	for (struct stored *image = first; image != end; image = image->newer)
		if (image->segment == segment && !before--)
			return image;
	return NULL;
}

/*
 * The neighbours in the segment whose room would do for `bytes`, with at most `spare` of them cold,
 * of which the one used last was used longest ago; *ret_since is when. NULL if there are none. More
 * and more images may make way until some would do; then the fewest are looked for that still
 * would.
 */
static struct extent *oldest_run(const struct store *store, unsigned segment, uint64_t bytes,
	uint64_t spare, uint64_t *ret_since)
{
	const struct place *place = &store->places[segment];
	struct stored *first = store->ready.oldest, *last = NULL, *image;
	struct extent *found = NULL;
	size_t count = 0, enough = 1;

	*ret_since = 0;
	if (place_find_until(place, bytes, spare, 0, &found))
		return found;
	for (image = first; image && !found; image = image->newer) {
		count += image->segment == segment;
		if (count < enough && image->newer)
			continue;
		enough = 2 * count + 1;
		if (place_find_until(place, bytes, spare, image->used_at, &found))
			last = image;
		else
			first = image->newer;
	}
	while (last && (image = middle(first, last, segment))) {
		if (place_find_until(place, bytes, spare, image->used_at, &found))
			last = image;
		else
			first = image->newer;
	}
	*ret_since = last ? last->used_at : 0;
	return found;
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

/* Evicts images that nobody holds, in the order of use, until as many bytes are warm somewhere.
 * False, with nothing evicted, if all of them would not do. */
static bool evict_anywhere(struct store *store, uint64_t bytes)
{
	uint64_t sum = warm_bytes(store);

	for (const struct stored *image = store->ready.oldest; image && sum < bytes;
		image = image->newer)
		sum += image->extent->used_at == PLACE_STAYS ? 0 : image->extent->length;
	if (sum < bytes)
		return false;
	for (struct stored *image = store->ready.oldest, *newer; image && warm_bytes(store) < bytes;
		image = newer) {
		newer = image->newer;
		if (image->extent->used_at != PLACE_STAYS)
			evict(store, image);
	}
	return true;
}

int victims_segment(const struct store *store, const bool *busy)
{
	int found = -1;

	for (const struct stored *image = store->evictions ? store->ready.oldest : NULL; image;
		image = image->newer)
		if (!busy[image->segment] && image->extent->used_at != PLACE_STAYS)
			return (int)image->segment;
	for (unsigned i = 0; i < store->segments; i++)
		if (!busy[i] &&
			(found < 0 || store->places[i].backed < store->places[found].backed))
			found = (int)i;
	return found;
}

uint64_t victims_clear(struct store *store, const struct held *held, unsigned segment,
	uint64_t bytes, struct extent **ret_first)
{
	struct place *place = &store->places[segment];
	uint64_t cold = place_find(place, bytes, ret_first), spare = spare_bytes(store), since;
	struct extent *run;

	if (cold != UINT64_MAX && cold <= spare)
		return cold;
	mark_uses(store, held);
	run = oldest_run(store, segment, bytes, spare, &since);
	if (!run) {
		/* The segment's share of the budget is too small: it gets some of the others'. */
		run = oldest_run(store, segment, bytes, UINT64_MAX, &since);
		if (!run || !evict_anywhere(store, bytes > spare ? bytes - spare : 0))
			return UINT64_MAX;
		/* That may have evicted what lay there, and made a better one. */
		run = oldest_run(store, segment, bytes, UINT64_MAX, &since);
	}
	evict_run(store, segment, run, bytes, since);
	return place_find(place, bytes, ret_first);
}
