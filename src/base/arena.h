/*
 * Placement: which bytes of a data segment hold what. Private memory of the server; the segment
 * itself is never touched.
 *
 * A segment is a row of extents without gaps, each used, backed (exists, so using it again costs no
 * page fault) or a hole (does not exist yet, or was given back to the system). Free neighbours of
 * the same kind are one extent. All sizes are whole pages.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ARENA_PAGE 4096

enum extent_kind {
	EXTENT_USED,
	EXTENT_BACKED,
	EXTENT_HOLE,
};

struct extent {
	uint64_t offset, length;
	enum extent_kind kind;
	struct extent *before, *after;
	struct extent *free_before, *free_after; /* in the list of those that are not USED */
	/* Of the first and last extent of what would be free: see arena_plan_add. */
	struct extent *far;
	uint64_t go, plan_bytes;
};

struct arena {
	struct extent *first;
	struct extent *free; /* in no order */
	uint64_t backed;     /* bytes that exist: used, or free and backed */
	uint64_t used;
	uint64_t go; /* which call of arena_plan_begin it was */
};

/* One hole of `limit` bytes (whole pages, not 0). False when out of memory. */
bool arena_init(struct arena *arena, uint64_t limit);
void arena_release(struct arena *arena);

/*
 * How many bytes of holes the cheapest room for `length` bytes has (0: all backed); UINT64_MAX if
 * there is no room at all. The room is the run of free extents with the fewest bytes of holes, then
 * the shortest. *ret_first is its first extent.
 */
uint64_t arena_find(const struct arena *arena, uint64_t length, struct extent **ret_first);

/*
 * Which used extents would have to go for room that there is not: arena_plan_begin begins, then
 * arena_plan_add names one after the other, until it says that there would be room for `length`
 * bytes if all the named ones were free, with at most `spare` bytes of holes in what would be
 * taken. Of such rooms, it is one for which the fewest used bytes have to go; *ret_first is its first extent.
 *
 * `length` and `spare` are the same each time, and nothing else is done to the place in between.
 * How much would be free on either side of an extent is known from boundary tags (Knuth, The Art of
 * Computer Programming, 2.5), so only the call that succeeds looks at many. Where `spare` is
 * neither 0 nor all, one room or the other may be missed.
 */
void arena_plan_begin(struct arena *arena);
bool arena_plan_add(struct arena *arena, struct extent *extent, uint64_t length, uint64_t spare,
	struct extent **ret_first);

/*
 * Takes `length` bytes at the start of the run of free extents that begins with `first`. The result
 * is one used extent; NULL when out of memory, with nothing changed but merged neighbours.
 */
struct extent *arena_take(struct arena *arena, struct extent *first, uint64_t length);

/* Gives the end of a used extent back, so that `length` bytes remain (fewer than it has, at least
 * one page). */
void arena_trim(struct arena *arena, struct extent *extent, uint64_t length);

/* Gives a used extent back, which stays backed; the pointer is dangling then. */
void arena_give(struct arena *arena, struct extent *extent);

/* The same as a hole: its bytes were given back to the system. */
void arena_give_hole(struct arena *arena, struct extent *extent);

/* The longest backed extent, or NULL. */
struct extent *arena_longest_backed(const struct arena *arena);

/* Some backed extent, or NULL. */
struct extent *arena_any_backed(const struct arena *arena);
