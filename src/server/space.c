/*
 * The store's room: what makes way for what. Room is claimed under the store's lock; where it has to
 * be made to exist, the lock is let go (backing.h).
 */
#include "server/backing.h"
#include "server/evict.h"

#include "base/number.h"
#include "exchange/request.h"
#include "exchange/seats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Gives a piece of a segment's backed room back to the system: how much; 0 if there is none, or the
 * system does not take it. */
static uint64_t punch_some(struct store *store, unsigned segment)
{
	struct extent *backed = arena_any_backed(&store->arenas[segment]);
	uint64_t length = backed ? backed->length : 0;

	if (backed)
		backed = arena_take(&store->arenas[segment], backed, length);
	return backed && backing_give_hole(store, segment, backed) ? length : 0;
}

/* The same for whichever segment has some, `last` being the last that is asked. */
static uint64_t punch_any(struct store *store, unsigned last)
{
	uint64_t given = 0;

	for (unsigned i = 1; i <= store->segments && !given; i++)
		given = punch_some(store, (last + i) % store->segments);
	return given;
}

static bool over_budget(const struct store *store)
{
	uint64_t backed, used;

	store_sums(store, &backed, &used);
	return backed > store->budget;
}

static bool evict_one(struct store *store, bool ahead)
{
	struct held held;
	bool evicted;

	if (!evict_collect(store, &held))
		return false;
	evicted = evict_oldest(store, &held, ahead);
	free(held.numbers);
	return evicted;
}

/* Gives backed room back, that of the segment itself last, until the segments are within the budget.
 * What was there to be given may have got images meanwhile: then further ones make way. False if they
 * cannot be. */
static bool punch_excess(struct store *store, unsigned segment, bool ahead)
{
	while (over_budget(store))
		if (!punch_any(store, segment) && !evict_one(store, ahead))
			return false;
	return true;
}

static uint64_t held_bytes(const struct stored_list *list, const struct held *held)
{
	uint64_t total = 0;

	for (const struct stored *image = list->oldest; image; image = image->newer)
		if (held_contains(held, image->number))
			total += image->extent->length;
	return total;
}

static int no_room(
	const struct store *store, const struct held *held, uint64_t bytes, struct error *err)
{
	char need[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE], allowed[SIZE_TEXT_SIZE];

	format_size(bytes, need);
	format_size(store->budget, allowed);
	if (bytes > store->budget)
		return error_set(err, STATUS_BAD_DATA,
			"larger than the store: %s needed, %s allowed (serve --cache)", need,
			allowed);
	format_size(held_bytes(&store->ready, held) + held_bytes(&store->unnamed, held) +
			    held_bytes(&store->window.images, held),
		have);
	return error_set(err, STATUS_TRY_AGAIN,
		"no room in the store: %s needed, %s held by clients, %s allowed (serve --cache)",
		need, have, allowed);
}

/* Evicts what it takes for `bytes`, whole pages; *ret_holes of them do not exist at *ret_first. */
static int free_room(struct store *store, unsigned segment, uint64_t bytes, bool ahead,
	struct extent **ret_first, uint64_t *ret_holes, struct error *err)
{
	bool possible = bytes <= store->budget;
	int status = STATUS_OK;
	struct held held;

	if (!evict_collect(store, &held))
		return error_os(err, ENOMEM, "no memory to look for room");
	*ret_holes = possible ? evict_make_room(store, &held, segment, bytes, ahead, ret_first)
			      : UINT64_MAX;
	if (*ret_holes == UINT64_MAX)
		status = no_room(store, &held, bytes, err);
	free(held.numbers);
	return status;
}

struct extent *store_claim_backed(struct store *store, unsigned segment, uint64_t bytes, bool ahead)
{
	struct extent *first;
	uint64_t holes;

	if (store->damaged[segment] || !size_align(bytes, store->head->page, &bytes) ||
		free_room(store, segment, bytes, ahead, &first, &holes, NULL) || holes)
		return NULL;
	return arena_take(&store->arenas[segment], first, bytes);
}

static int claim_room(struct store *store, unsigned segment, uint64_t bytes, bool ahead,
	struct extent **ret, uint64_t *ret_holes, struct error *err)
{
	struct extent *first;
	int status = free_room(store, segment, bytes, ahead, &first, ret_holes, err);

	if (status == STATUS_TRY_AGAIN) {
		/* What clients hold that have died is nobody's. */
		seats_reclaim(store->head);
		status = free_room(store, segment, bytes, ahead, &first, ret_holes, err);
		store->refusals += status == STATUS_TRY_AGAIN;
	}
	if (status)
		return status;
	*ret = arena_take(&store->arenas[segment], first, bytes);
	return *ret ? STATUS_OK : error_os(err, ENOMEM, "no memory to make room");
}

/* Has the system give the bytes of a new extent, of which `holes` do not exist. */
static int back_extent(struct store *store, unsigned index, const struct extent *extent,
	uint64_t holes, struct error *err)
{
	struct segment *segment = &store->data[index];
	off_t last = (off_t)segment->size - ARENA_PAGE;
	bool grows = last >= 0 && extent->offset + extent->length > segment->size;
	uint8_t before[ARENA_PAGE], after[ARENA_PAGE];
	bool cut;
	int failed;

	/* Growing a segment hides that somebody cut off a part of its last page: no page is missing
	 * then. Nobody writes there now, for the segment's decoder waits for this room. */
	cut = grows && pread(segment->fd, before, ARENA_PAGE, last) != ARENA_PAGE;
	failed = backing_reserve(store, index, extent->offset, extent->length);
	if (failed)
		return failed == ENOSPC ? segment_full(holes, err)
					: error_os(err, failed, "cannot reserve shared memory");
	if (grows && !cut)
		cut = pread(segment->fd, after, ARENA_PAGE, last) != ARENA_PAGE ||
		      memcmp(before, after, ARENA_PAGE) != 0;
	if (cut)
		backing_lost(store, index);
	store_check_segments(store);
	return STATUS_OK;
}

/* Gives memory back to the system, which others have used up: what no image is in, then images that
 * nobody holds, until it is `bytes`. False if there was nothing to give. */
static bool yield(struct store *store, uint64_t bytes, bool ahead)
{
	uint64_t given = 0;

	while (given < bytes) {
		uint64_t length = punch_any(store, store->segments - 1);

		given += length;
		if (!length && !evict_one(store, ahead))
			break;
	}
	return given;
}

/* Makes an extent exist of which `holes` bytes do not. */
static int back_or_yield(struct store *store, unsigned segment, struct extent *extent,
	uint64_t holes, bool ahead, struct error *err)
{
	uint64_t length = extent->length;
	int status;

	/* Whenever the lock is let go meanwhile, not all of it exists. */
	store->changing[segment] += length;
	if (!punch_excess(store, segment, ahead))
		status = error_set(
			err, STATUS_TRY_AGAIN, "the store's room was taken meanwhile; ask again");
	else
		do
			status = back_extent(store, segment, extent, holes, err);
		while (status == STATUS_TRY_AGAIN && yield(store, holes, ahead));
	store->changing[segment] -= length;
	return status;
}

int store_make_room(struct store *store, unsigned segment, uint64_t bytes, bool ahead,
	struct extent **ret, struct error *err)
{
	struct extent *extent = NULL;
	uint64_t holes = 0;
	int status;

	store_check_segments(store);
	store_mend(store);
	if (!size_align(bytes, store->head->page, &bytes))
		bytes = UINT64_MAX;
	status = claim_room(store, segment, bytes, ahead, &extent, &holes, err);
	if (status)
		return status;
	if (holes)
		status = back_or_yield(store, segment, extent, holes, ahead, err);
	if (status) {
		backing_give_hole(store, segment, extent);
		return status;
	}
	if (store->damaged[segment])
		store_mend(store);
	*ret = extent;
	return STATUS_OK;
}

struct extent *store_spare_room(struct store *store, unsigned segment, uint64_t most)
{
	struct extent *backed = arena_longest_backed(&store->arenas[segment]);

	if (!backed || store->damaged[segment])
		return NULL;
	return arena_take(
		&store->arenas[segment], backed, backed->length < most ? backed->length : most);
}

void store_give_room(struct store *store, unsigned segment, struct extent *extent)
{
	arena_give(&store->arenas[segment], extent);
}

/* ---- holds ---- */

unsigned store_holders(const struct store *store, const struct stored *image)
{
	unsigned holders = 0;

	for (unsigned seat = 0; seat < store->head->seats; seat++) {
		size_t mark = head_holds_mark(store->head, seat), i = 0;

		while (i < mark && (atomic_load(head_hold(store->head, seat, i)) &
					   ~WIRE_HOLD_FOUND) != image->number)
			i++;
		holders += i < mark;
	}
	return holders;
}
