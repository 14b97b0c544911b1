#include "base/arena.h"

#include <stdlib.h>

static void list_add(struct arena *arena, struct extent *extent)
{
	extent->free_before = NULL;
	extent->free_after = arena->free;
	if (arena->free)
		arena->free->free_before = extent;
	arena->free = extent;
}

static void list_remove(struct arena *arena, struct extent *extent)
{
	*(extent->free_before ? &extent->free_before->free_after
			      : &arena->free) = extent->free_after;
	if (extent->free_after)
		extent->free_after->free_before = extent->free_before;
}

bool arena_init(struct arena *arena, uint64_t limit)
{
	struct extent *all = calloc(1, sizeof *all);

	if (!all)
		return false;
	*all = (struct extent){.length = limit, .kind = EXTENT_HOLE};
	*arena = (struct arena){.first = all, .free = all};
	return true;
}

void arena_release(struct arena *arena)
{
	for (struct extent *extent = arena->first, *next; extent; extent = next) {
		next = extent->after;
		free(extent);
	}
	*arena = (struct arena){0};
}

static bool begins_run(const struct extent *extent)
{
	return !extent->before || extent->before->kind == EXTENT_USED;
}

/* Neighbours that are free: from `first` to `last`, before `next`, `run` bytes, of which `holes`. */
struct window {
	struct extent *first, *last, *next;
	uint64_t run, holes;
};

static uint64_t hole_bytes(const struct extent *extent)
{
	return extent->kind == EXTENT_HOLE ? extent->length : 0;
}

/* Adds neighbours until it has so many bytes; whether it has. */
static bool window_widen(struct window *window, uint64_t length)
{
	while (window->run < length) {
		struct extent *next = window->next;

		if (!next || next->kind == EXTENT_USED)
			return false;
		window->run += next->length;
		window->holes += hole_bytes(next);
		window->last = next;
		window->next = next->after;
	}
	return true;
}

static void window_drop_first(struct window *window)
{
	window->run -= window->first->length;
	window->holes -= hole_bytes(window->first);
	window->first = window->first->after;
}

uint64_t arena_find(const struct arena *arena, uint64_t length, struct extent **ret_first)
{
	uint64_t best_holes = UINT64_MAX, best_length = UINT64_MAX;

	for (struct extent *begin = arena->free; begin; begin = begin->free_after) {
		struct window window = {.first = begin, .next = begin};

		if (!begins_run(begin))
			continue;
		for (; window_widen(&window, length); window_drop_first(&window)) {
			/* The end of `last` may be left over. */
			bool whole = window.last->kind != EXTENT_HOLE;
			uint64_t take = window.holes - (whole ? 0 : window.run - length);

			if (take < best_holes || (take == best_holes && window.run < best_length)) {
				best_holes = take;
				best_length = window.run;
				*ret_first = window.first;
			}
		}
	}
	return best_holes;
}

void arena_plan_begin(struct arena *arena)
{
	arena->go++;
}

/* How much of an extent could be taken, at the most. */
static uint64_t plan_bytes(const struct extent *extent, uint64_t spare)
{
	return extent->kind == EXTENT_HOLE && extent->length > spare ? spare : extent->length;
}

/* Where what would be free ends on one side of an extent, and how much it is there. */
static struct extent *reach(
	const struct arena *arena, struct extent *extent, bool up, uint64_t spare, uint64_t *sum)
{
	struct extent *next;

	while ((next = up ? extent->after : extent->before)) {
		if (next->go == arena->go) {
			*sum += next->plan_bytes;
			return next->far;
		}
		if (next->kind == EXTENT_USED || !plan_bytes(next, spare))
			return extent;
		*sum += plan_bytes(next, spare);
		extent = next;
	}
	return extent;
}

/* Of the rooms between two extents, all of which would be free, the one for which the fewest used
 * bytes have to go; false if all have too many in holes. */
static bool cheapest(struct extent *first, const struct extent *end, uint64_t length,
	uint64_t spare, struct extent **ret_first)
{
	uint64_t run = 0, used = 0, holes = 0, fewest = UINT64_MAX;

	for (struct extent *at = first; at != end; at = at->after) {
		run += at->length;
		used += at->kind == EXTENT_USED ? at->length : 0;
		holes += at->kind == EXTENT_HOLE ? at->length : 0;
		/* What can be left out at the front is. */
		for (; run - first->length >= length; first = first->after) {
			run -= first->length;
			used -= first->kind == EXTENT_USED ? first->length : 0;
			holes -= first->kind == EXTENT_HOLE ? first->length : 0;
		}
		/* Ends with `at`, of which the end may be left over. */
		if (run < length || run - at->length >= length || used >= fewest ||
			holes - (at->kind == EXTENT_HOLE ? run - length : 0) > spare)
			continue;
		fewest = used;
		*ret_first = first;
	}
	return fewest != UINT64_MAX;
}

bool arena_plan_add(struct arena *arena, struct extent *extent, uint64_t length, uint64_t spare,
	struct extent **ret_first)
{
	uint64_t sum = extent->length;
	struct extent *first = reach(arena, extent, false, spare, &sum);
	struct extent *last = reach(arena, extent, true, spare, &sum);

	first->far = last;
	last->far = first;
	first->go = last->go = arena->go;
	first->plan_bytes = last->plan_bytes = sum;
	return sum >= length && cheapest(first, last->after, length, spare, ret_first);
}

/* Takes `extent`, which must have a neighbour after it, into that neighbour's place. */
static void absorb_next(struct arena *arena, struct extent *extent)
{
	struct extent *next = extent->after;

	extent->length += next->length;
	extent->after = next->after;
	if (next->after)
		next->after->before = extent;
	if (next->kind != EXTENT_USED)
		list_remove(arena, next);
	free(next);
}

static void merge(struct arena *arena, struct extent *extent)
{
	if (extent->after && extent->after->kind == extent->kind)
		absorb_next(arena, extent);
	if (extent->before && extent->before->kind == extent->kind)
		absorb_next(arena, extent->before);
}

/* Cuts the extent in two; `length` bytes stay in it. The second part is of that kind. False when
 * out of memory. */
static bool split(
	struct arena *arena, struct extent *extent, uint64_t length, enum extent_kind kind)
{
	struct extent *rest = malloc(sizeof *rest);

	if (!rest)
		return false;
	*rest = (struct extent){.offset = extent->offset + length,
		.length = extent->length - length,
		.kind = kind,
		.before = extent,
		.after = extent->after};
	if (rest->after)
		rest->after->before = rest;
	extent->after = rest;
	extent->length = length;
	if (kind != EXTENT_USED)
		list_add(arena, rest);
	return true;
}

struct extent *arena_take(struct arena *arena, struct extent *first, uint64_t length)
{
	uint64_t run = 0, holes = 0;
	struct extent *last = first;

	/* Cut the run's last extent first: the only step that can fail. */
	for (;; last = last->after) {
		if (run + last->length > length && !split(arena, last, length - run, last->kind))
			return NULL;
		run += last->length;
		if (last->kind == EXTENT_HOLE)
			holes += last->length;
		if (run == length)
			break;
	}
	while (first->length < length)
		absorb_next(arena, first);
	list_remove(arena, first);
	first->kind = EXTENT_USED;
	arena->backed += holes;
	arena->used += length;
	return first;
}

void arena_trim(struct arena *arena, struct extent *extent, uint64_t length)
{
	if (length >= extent->length || !split(arena, extent, length, EXTENT_BACKED))
		return;
	arena->used -= extent->after->length;
	merge(arena, extent->after);
}

static void give(struct arena *arena, struct extent *extent, enum extent_kind kind)
{
	arena->used -= extent->length;
	extent->kind = kind;
	list_add(arena, extent);
	merge(arena, extent);
}

void arena_give(struct arena *arena, struct extent *extent)
{
	give(arena, extent, EXTENT_BACKED);
}

void arena_give_hole(struct arena *arena, struct extent *extent)
{
	arena->backed -= extent->length;
	give(arena, extent, EXTENT_HOLE);
}

struct extent *arena_longest_backed(const struct arena *arena)
{
	struct extent *longest = NULL;

	for (struct extent *at = arena->free; at; at = at->free_after)
		if (at->kind == EXTENT_BACKED && (!longest || at->length > longest->length))
			longest = at;
	return longest;
}

struct extent *arena_any_backed(const struct arena *arena)
{
	struct extent *at = arena->free;

	while (at && at->kind != EXTENT_BACKED)
		at = at->free_after;
	return at;
}
