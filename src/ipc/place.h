/*
 * Placement: which bytes of a data segment hold what. Private memory of the server; the segment
 * itself is never touched.
 *
 * A segment is a row of extents without gaps, each used, warm (exists, so using it again costs no
 * page fault) or cold (does not exist yet, or was given back to the system). Free neighbours of the
 * same kind are one extent. All sizes are whole pages.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PLACE_PAGE 4096

enum extent_kind {
	EXTENT_USED,
	EXTENT_WARM,
	EXTENT_COLD,
};

/* Never makes way: what a used extent says until its owner says otherwise. */
#define PLACE_STAYS UINT64_MAX

struct extent {
	uint64_t offset, length;
	uint64_t used_at; /* USED: when it was last used, by a clock of its owner's; or PLACE_STAYS
			   */
	enum extent_kind kind;
	struct extent *before, *after;
};

struct place {
	struct extent *first;
	uint64_t backed; /* bytes that exist: used and warm */
	uint64_t used;
};

/* One cold extent of `limit` bytes (whole pages, not 0). False when out of memory. */
bool place_init(struct place *place, uint64_t limit);
void place_release(struct place *place);

/*
 * How many cold bytes the cheapest room for `length` bytes has (0: all warm); UINT64_MAX if there
 * is no room at all. The room is the run of free extents with the fewest cold bytes, then the
 * shortest. *ret_first is its first extent.
 */
uint64_t place_find(const struct place *place, uint64_t length, struct extent **ret_first);

/*
 * The room for `length` bytes that there would be if every used extent made way whose used_at is at
 * most `limit`: the run of neighbours, with at most `spare` cold bytes in what would be taken, that
 * frees the fewest used bytes. False if there is none; where `spare` is neither 0 nor all, one may
 * be missed. *ret_first is its first extent.
 */
bool place_find_until(const struct place *place, uint64_t length, uint64_t spare, uint64_t limit,
	struct extent **ret_first);

/*
 * Takes `length` bytes at the start of the run of free extents that begins with `first`. The result
 * is one used extent; NULL when out of memory, with nothing changed but merged neighbours.
 */
struct extent *place_take(struct place *place, struct extent *first, uint64_t length);

/* Gives the end of a used extent back, so that `length` bytes remain (fewer than it has, at least
 * one page). */
void place_trim(struct place *place, struct extent *extent, uint64_t length);

/* Gives a used extent back as warm; the pointer is dangling then. */
void place_give(struct place *place, struct extent *extent);

/* Marks a warm extent as cold: its bytes were given back to the system. The pointer is dangling
 * then. */
void place_cool(struct place *place, struct extent *extent);

/* The longest warm extent, or NULL. */
struct extent *place_longest_warm(const struct place *place);

/* The first warm extent, or NULL. */
struct extent *place_first_warm(const struct place *place);
