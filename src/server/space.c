/*
 * The store's room: what clients hold, what makes way for what, and segments that somebody cut off.
 */
#include "server/evict.h"

#include "base/number.h"
#include "exchange/request.h"
#include "shm/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a segment that may exist where there is nothing, for the system's own rounding. */
#define EXCESS_MAX (UINT64_C(8) << 20)

/* ---- holds ---- */

unsigned store_holders(const struct store *store, const struct stored *image)
{
	unsigned holders = 0;

	for (unsigned seat = 0; seat < store->head->seats; seat++) {
		size_t mark = head_holds_mark(store->head, seat), i = 0;

		while (i < mark && atomic_load(head_hold(store->head, seat, i)) != image->number)
			i++;
		if (i < mark && lock_held(store->head->segment.fd,
					head_seat_lock(store->head, seat), 1) == 1)
			holders++;
	}
	return holders;
}

/* ---- segments that somebody cut off ---- */

/*
 * Makes the extents that exist exist again, where the segment was truncated, and the segment as long
 * as it was. Cold extents stay holes: they are not within the budget. Without room it stays short,
 * and is found so again.
 */
static void regrow(const struct store *store, unsigned index)
{
	struct segment *segment = &store->data[index];
	struct stat status;
	int failed = 0;

	for (const struct extent *at = store->arenas[index].first; at && !failed; at = at->after)
		if (at->kind != EXTENT_HOLE)
			failed = segment_reserve(segment, at->offset, at->length);
	if (failed || fstat(segment->fd, &status) != 0 || (size_t)status.st_size >= segment->size)
		return;
	if (ftruncate(segment->fd, (off_t)segment->size) != 0)
		return; /* short, which the next look finds */
}

/* Neither shorter nor emptier than we made it: a segment that was truncated may have grown since. */
static bool segment_whole(const struct store *store, unsigned index)
{
	struct stat status;

	return fstat(store->data[index].fd, &status) != 0 ||
	       ((uint64_t)status.st_size >= store->data[index].size &&
		       (uint64_t)status.st_blocks * 512 >= store->arenas[index].backed);
}

/* Forgets the images of a list that were in the segment; how many. */
static size_t forget_images(struct store *store, const struct stored_list *list, unsigned index)
{
	size_t count = 0;

	for (struct stored *image = list->oldest, *newer; image; image = newer) {
		newer = image->newer;
		if (image->segment == index && image->findable) {
			store_forget(store, image);
			count++;
		}
	}
	return count;
}

/* Forgets what was in the segment: how many images. */
static size_t lose_segment(struct store *store, unsigned index)
{
	size_t lost = forget_images(store, &store->ready, index) +
		      forget_images(store, &store->unnamed, index);

	/* Before zeros can be read there. */
	store->truncations[index]++;
	store->all_truncations++;
	atomic_store(&head_server(store->head)->truncations, store->all_truncations);
	regrow(store, index);
	return lost;
}

size_t store_check_segments(struct store *store)
{
	size_t lost = 0;

	for (unsigned i = 0; i < store->segments; i++)
		if (!segment_whole(store, i))
			lost += lose_segment(store, i);
	return lost;
}

/* ---- room ---- */

/* Gives a piece of a segment's warm room back to the system: how much; 0 if there is none, or the
 * system does not take it. */
static uint64_t cool_some(struct store *store, unsigned segment)
{
	struct extent *warm = arena_any_backed(&store->arenas[segment]);
	uint64_t length = warm ? warm->length : 0;

	if (!warm || fallocate(store->data[segment].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     (off_t)warm->offset, (off_t)length) != 0)
		return 0;
	arena_punch_hole(&store->arenas[segment], warm);
	return length;
}

/* Gives warm room back, that of the segment itself last, until the segments are within the budget.
 * False if they cannot be. */
static bool cool_excess(struct store *store, unsigned segment)
{
	uint64_t backed, used, length;

	store_sums(store, &backed, &used);
	for (unsigned i = 1; i <= store->segments; i++)
		while (backed > store->budget &&
			(length = cool_some(store, (segment + i) % store->segments)))
			backed -= length;
	return backed <= store->budget;
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
			"larger than the store: %s needed, %s allowed (--cache)", need, allowed);
	format_size(held_bytes(&store->ready, held) + held_bytes(&store->unnamed, held), have);
	return error_set(err, STATUS_TRY_AGAIN,
		"no room in the store: %s needed, %s held by clients, %s allowed (--cache)", need,
		have, allowed);
}

/* Has the system give the bytes of a new extent, of which `cold` do not exist. */
static int back_extent(struct store *store, unsigned index, const struct extent *extent,
	uint64_t cold, struct error *err)
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
	failed = segment_reserve(segment, extent->offset, extent->length);
	if (failed)
		return failed == ENOSPC ? segment_full(cold, err)
					: error_os(err, failed, "cannot reserve shared memory");
	if (grows && !cut)
		cut = pread(segment->fd, after, ARENA_PAGE, last) != ARENA_PAGE ||
		      memcmp(before, after, ARENA_PAGE) != 0;
	if (cut)
		lose_segment(store, index);
	store_check_segments(store);
	return STATUS_OK;
}

/* Gives memory back to the system, which others have used up: what no image is in, then images that
 * nobody holds, until it is `bytes`. False if there was nothing to give. */
static bool yield(struct store *store, const struct held *held, uint64_t bytes)
{
	uint64_t given = 0, length;

	do
		for (unsigned i = 0; i < store->segments; i++)
			while (given < bytes && (length = cool_some(store, i)))
				given += length;
	while (given < bytes && evict_oldest(store, held));
	return given;
}

/* Makes an extent exist of which `cold` bytes do not. */
static int back_or_yield(struct store *store, const struct held *held, unsigned segment,
	struct extent *extent, uint64_t cold, struct error *err)
{
	int status;

	if (!cool_excess(store, segment))
		return error_os(err, EIO, "cannot give shared memory back");
	do
		status = back_extent(store, segment, extent, cold, err);
	while (status == STATUS_TRY_AGAIN && yield(store, held, cold));
	return status;
}

/* Room that nobody holds, taken from the arena; *ret_cold bytes of it do not exist. */
static int claim_room(struct store *store, const struct held *held, unsigned segment,
	uint64_t bytes, struct extent **ret, uint64_t *ret_cold, struct error *err)
{
	bool possible = size_align(bytes, store->head->page, &bytes) && bytes <= store->budget;
	struct extent *first;

	*ret_cold = possible ? evict_make_room(store, held, segment, bytes, &first) : UINT64_MAX;
	if (*ret_cold == UINT64_MAX) {
		store->refusals += possible;
		return no_room(store, held, bytes, err);
	}
	*ret = arena_take(&store->arenas[segment], first, bytes);
	return *ret ? STATUS_OK : error_os(err, ENOMEM, "no memory to make room");
}

int store_make_room(struct store *store, unsigned segment, uint64_t bytes, struct extent **ret,
	struct error *err)
{
	struct extent *extent = NULL;
	uint64_t cold = 0;
	struct held held;
	int status;

	store_check_segments(store);
	if (!held_collect(store->head, &held))
		return error_os(err, ENOMEM, "no memory to look for room");
	status = claim_room(store, &held, segment, bytes, &extent, &cold, err);
	if (!status && cold)
		status = back_or_yield(store, &held, segment, extent, cold, err);
	free(held.numbers);
	if (status && extent) {
		arena_give(&store->arenas[segment], extent);
		/* What does not exist passes for warm now. */
		while (cool_some(store, segment))
			;
	}
	if (status)
		return status;
	*ret = extent;
	return STATUS_OK;
}

void store_punch_holes(struct store *store, unsigned segment)
{
	const struct segment *data = &store->data[segment];

	for (const struct extent *at = store->arenas[segment].first; at; at = at->after)
		if (at->kind == EXTENT_HOLE && at->offset < data->size)
			fallocate(data->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)at->offset, (off_t)at->length);
}

bool store_has_excess(const struct store *store, unsigned segment)
{
	struct stat status;

	return fstat(store->data[segment].fd, &status) == 0 &&
	       (uint64_t)status.st_blocks * 512 > store->arenas[segment].backed + EXCESS_MAX;
}

struct extent *store_spare_room(struct store *store, unsigned segment, uint64_t most)
{
	struct extent *warm = arena_longest_backed(&store->arenas[segment]);

	if (!warm)
		return NULL;
	return arena_take(&store->arenas[segment], warm, warm->length < most ? warm->length : most);
}

void store_give_room(struct store *store, unsigned segment, struct extent *extent)
{
	arena_give(&store->arenas[segment], extent);
}
