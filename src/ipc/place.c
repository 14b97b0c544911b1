#include "ipc/place.h"

#include <stdlib.h>

bool place_init(struct place *place, uint64_t limit)
{
	struct extent *all = calloc(1, sizeof *all);

	if (!all)
		return false;
	*all = (struct extent){.length = limit, .kind = EXTENT_COLD};
	*place = (struct place){.first = all};
	return true;
}

void place_release(struct place *place)
{
	for (struct extent *extent = place->first, *next; extent; extent = next) {
		next = extent->after;
		free(extent);
	}
	*place = (struct place){0};
}

uint64_t place_find(const struct place *place, uint64_t length, struct extent **ret_first)
{
	uint64_t best_cold = UINT64_MAX, best_length = UINT64_MAX, run = 0, cold = 0;
	struct extent *last = NULL, *next = place->first;

	/* What is free from `first` to `last`, before `next`, is `run` bytes, of which `cold`. */
	for (struct extent *first = place->first; first; first = first->after) {
		uint64_t take;

		if (first->kind == EXTENT_USED) {
			next = first->after;
			continue;
		}
		for (; next && next->kind != EXTENT_USED && run < length; next = next->after) {
			last = next;
			run += last->length;
			cold += last->kind == EXTENT_COLD ? last->length : 0;
		}
		/* The end of `last` may be left over. */
		take = cold - (run > length && last->kind == EXTENT_COLD ? run - length : 0);
		if (run >= length &&
			(take < best_cold || (take == best_cold && run < best_length))) {
			best_cold = take;
			best_length = run;
			*ret_first = first;
		}
		run -= first->length;
		cold -= first->kind == EXTENT_COLD ? first->length : 0;
	}
	return best_cold;
}

bool place_find_until(const struct place *place, uint64_t length, uint64_t spare, uint64_t limit,
	struct extent **ret_first)
{
	uint64_t run = 0, used = 0, cold = 0, fewest = UINT64_MAX;
	struct extent *first = place->first;

	for (struct extent *at = first; at; at = at->after) {
		if (at->kind == EXTENT_USED && at->used_at > limit) {
			first = at->after;
			run = used = cold = 0;
			continue;
		}
		run += at->length;
		used += at->kind == EXTENT_USED ? at->length : 0;
		cold += at->kind == EXTENT_COLD ? at->length : 0;
		/* What can be left out at the front is. */
		for (; run - first->length >= length; first = first->after) {
			run -= first->length;
			used -= first->kind == EXTENT_USED ? first->length : 0;
			cold -= first->kind == EXTENT_COLD ? first->length : 0;
		}
		/* Ends with `at`, of which the end may be left over. */
		if (run < length || run - at->length >= length || used >= fewest ||
			cold - (at->kind == EXTENT_COLD ? run - length : 0) > spare)
			continue;
		fewest = used;
		*ret_first = first;
	}
	return fewest != UINT64_MAX;
}

/* Takes `extent`, which must have a neighbour after it, into that neighbour's place. */
static void absorb_next(struct extent *extent)
{
	struct extent *next = extent->after;

	extent->length += next->length;
	extent->after = next->after;
	if (next->after)
		next->after->before = extent;
	free(next);
}

static void merge(struct extent *extent)
{
	if (extent->after && extent->after->kind == extent->kind)
		absorb_next(extent);
	if (extent->before && extent->before->kind == extent->kind)
		absorb_next(extent->before);
}

/* Cuts the extent in two; `length` bytes stay in it. The second part has the same kind. False when
 * out of memory. */
static bool split(struct extent *extent, uint64_t length)
{
	struct extent *rest = malloc(sizeof *rest);

	if (!rest)
		return false;
	*rest = (struct extent){.offset = extent->offset + length,
		.length = extent->length - length,
		.kind = extent->kind,
		.before = extent,
		.after = extent->after};
	if (rest->after)
		rest->after->before = rest;
	extent->after = rest;
	extent->length = length;
	return true;
}

struct extent *place_take(struct place *place, struct extent *first, uint64_t length)
{
	uint64_t run = 0, cold = 0;
	struct extent *last = first;

	/* Cut the run's last extent first: the only step that can fail. */
	for (;; last = last->after) {
		if (run + last->length > length && !split(last, length - run))
			return NULL;
		run += last->length;
		if (last->kind == EXTENT_COLD)
			cold += last->length;
		if (run == length)
			break;
	}
	while (first->length < length)
		absorb_next(first);
	first->kind = EXTENT_USED;
	first->used_at = PLACE_STAYS;
	place->backed += cold;
	place->used += length;
	return first;
}

void place_trim(struct place *place, struct extent *extent, uint64_t length)
{
	if (length >= extent->length || !split(extent, length))
		return;
	extent->after->kind = EXTENT_WARM;
	place->used -= extent->after->length;
	merge(extent->after);
}

void place_give(struct place *place, struct extent *extent)
{
	place->used -= extent->length;
	extent->kind = EXTENT_WARM;
	merge(extent);
}

void place_cool(struct place *place, struct extent *extent)
{
	place->backed -= extent->length;
	extent->kind = EXTENT_COLD;
	merge(extent);
}

struct extent *place_longest_warm(const struct place *place)
{
	struct extent *longest = NULL;

	for (struct extent *at = place->first; at; at = at->after)
		if (at->kind == EXTENT_WARM && (!longest || at->length > longest->length))
			longest = at;
	return longest;
}

struct extent *place_first_warm(const struct place *place)
{
	struct extent *at = place->first;

	while (at && at->kind != EXTENT_WARM)
		at = at->after;
	return at;
}
