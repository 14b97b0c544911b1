/*
 * A decoder writes into its own segment only, and there what makes way must be neighbours. So the
 * least recently used images alone would not do: freed one by one until there happen to be enough
 * of them side by side, they leave a segment full of holes, and images that lie in other segments
 * would stay for ever. Two ways are looked at:
 *
 * - Neighbours in the segment, with the room between them. Of all that would do, those are taken of
 *   which the most recently used one was used longest ago. Their room is warm.
 * - The least recently used images, wherever they lie. Their memory is given back to the system
 *   and new memory taken where the segment has none: exactly in the order of use, but the decoder
 *   pays a page fault for each page.
 */
#include "serve/victims.h"

/* Warm room is worth evicting images that were used this many times as recently as others that
 * could go. */
#define WARM_WORTH 4

#define NEVER UINT64_MAX

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

/*
 * The neighbours in the segment whose room would do for `bytes`, with at most `spare` of them cold,
 * of which the one used last was used longest ago; *ret_since is when. NULL, and NEVER, if there
 * are none. More and more images may make way until some would do; then the fewest are looked for
 * that still would.
 */
static struct extent *oldest_run(const struct store *store, unsigned segment, uint64_t bytes,
	uint64_t spare, uint64_t *ret_since)
{
	const struct place *place = &store->places[segment];
	uint64_t too_early = 0, since = 0;
	struct extent *found = NULL;
	size_t count = 0, enough = 1;

	for (struct stored *image = store->ready.oldest; image && !found; image = image->newer) {
		count += image->segment == segment;
		if (count < enough && image->newer)
			continue;
		enough = 2 * count + 1;
		since = image->used_at;
		if (!place_find_until(place, bytes, spare, since, &found))
			too_early = since;
	}
	*ret_since = found ? since : NEVER;
	while (found && *ret_since - too_early > 1) {
		since = too_early + (*ret_since - too_early) / 2;
		if (place_find_until(place, bytes, spare, since, &found))
			*ret_since = since;
		else
			too_early = since;
	}
	return found;
}

/* Since when the images have not been used that would have to go, in the order of use, for `bytes`
 * to be warm; NEVER if all would not do. */
static uint64_t oldest_anywhere(const struct store *store, uint64_t bytes)
{
	uint64_t sum = warm_bytes(store), since = 0;

	for (const struct stored *image = store->ready.oldest; image; image = image->newer) {
		if (image->extent->used_at == PLACE_STAYS)
			continue;
		/* Somebody's next image is to find warm room, too: it is not free. */
		if (since && sum >= bytes)
			break;
		since = image->used_at;
		sum += image->extent->length;
	}
	return sum >= bytes ? since : NEVER;
}

static void evict_anywhere(struct store *store, uint64_t bytes)
{
	for (struct stored *image = store->ready.oldest, *newer; image && warm_bytes(store) < bytes;
		image = newer) {
		newer = image->newer;
		if (image->extent->used_at != PLACE_STAYS)
			evict(store, image);
	}
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

static bool warm_is_worth(const struct store *store, uint64_t since, uint64_t cold_since)
{
	return (store->uses - since) * WARM_WORTH >= store->uses - cold_since;
}

uint64_t victims_clear(struct store *store, const struct held *held, unsigned segment,
	uint64_t bytes, struct extent **ret_first)
{
	struct place *place = &store->places[segment];
	uint64_t cold = place_find(place, bytes, ret_first), spare = spare_bytes(store);
	uint64_t since, cold_since, others_since;
	struct extent *warm_run, *run;

	if (cold != UINT64_MAX && cold <= spare)
		return cold;
	mark_uses(store, held);
	warm_run = oldest_run(store, segment, bytes, spare, &since);
	/* What is worth more than the oldest of all needs no second look. */
	if (warm_run && warm_is_worth(store, since, oldest_anywhere(store, 0))) {
		evict_run(store, segment, warm_run, bytes, since);
		return place_find(place, bytes, ret_first);
	}
	run = oldest_run(store, segment, bytes, UINT64_MAX, &cold_since);
	/* Taking the run makes this much more than the budget, unless as much is warm. */
	spare = spare < bytes ? spare : bytes;
	others_since = oldest_anywhere(store, bytes - spare);
	if (!run || others_since == NEVER)
		return UINT64_MAX;
	if (warm_run && warm_is_worth(store, since,
				cold_since > others_since ? cold_since : others_since)) {
		evict_run(store, segment, warm_run, bytes, since);
	} else {
		evict_run(store, segment, run, bytes, cold_since);
		evict_anywhere(store, bytes - spare);
	}
	return place_find(place, bytes, ret_first);
}
