/*
 * The store's room: what clients hold, what makes way for what, and segments that somebody cut off.
 */
#include "serve/victims.h"

#include "base/number.h"
#include "ipc/lock.h"
#include "ipc/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- holds ---- */

static uint64_t *noted_holds(const struct store *store, unsigned seat)
{
	return store->noted + (size_t)seat * WIRE_HOLDS;
}

void store_note_hold(struct store *store, unsigned seat, unsigned hold, uint64_t number)
{
	noted_holds(store, seat)[hold] = number;
}

void store_restore_holds(struct store *store, unsigned seat)
{
	struct wire_seat *page = head_seat(store->head, seat);

	/* Who has the seat may have a later word there already. */
	for (size_t i = 0; i < WIRE_HOLDS; i++) {
		uint64_t nothing = 0;

		atomic_compare_exchange_strong(
			&page->holds[i], &nothing, noted_holds(store, seat)[i]);
	}
}

/*
 * What a seat holds: its words, if its page is still the one that was made for it, else what we
 * remember of them. Where the words are true, what was let go is forgotten.
 */
static size_t seat_holds(const void *context, unsigned seat, uint64_t numbers[WIRE_HOLDS])
{
	const struct store *store = context;
	uint64_t words[WIRE_HOLDS], *noted = noted_holds(store, seat);
	size_t count = 0;
	bool whole;

	for (size_t i = 0; i < WIRE_HOLDS; i++)
		words[i] = atomic_load(&head_seat(store->head, seat)->holds[i]);
	whole = head_seat_whole(store->head, seat, store->instance);
	for (size_t i = 0; i < WIRE_HOLDS; i++) {
		if (whole && words[i] != noted[i])
			noted[i] = 0;
		if (whole && words[i])
			numbers[count++] = words[i];
		else if (!whole && noted[i])
			numbers[count++] = noted[i];
	}
	return count;
}

unsigned store_holders(const struct store *store, const struct stored *image)
{
	unsigned holders = 0;

	for (unsigned seat = 0; seat < store->head->seats; seat++) {
		const struct wire_seat *page = head_seat(store->head, seat);
		size_t i = 0;

		while (i < WIRE_HOLDS && atomic_load(&page->holds[i]) != image->number)
			i++;
		if (i < WIRE_HOLDS &&
			lock_held(store->head->segment.fd, wire_seat_lock(seat), 1) == 1)
			holders++;
	}
	return holders;
}

/* ---- room ---- */

void store_sums(const struct store *store, uint64_t *ret_backed, uint64_t *ret_used)
{
	*ret_backed = *ret_used = 0;
	for (unsigned i = 0; i < store->segments; i++) {
		*ret_backed += store->places[i].backed;
		*ret_used += store->places[i].used;
	}
}

/* Gives warm room back to the system, that of the segment itself last, until the segments are
 * within the budget. False if the system does not take it. */
static bool cool_excess(struct store *store, unsigned segment)
{
	uint64_t backed, used;

	store_sums(store, &backed, &used);
	for (unsigned i = 1; i <= store->segments; i++) {
		unsigned other = (segment + i) % store->segments;
		struct extent *warm;

		while (backed > store->budget && (warm = place_first_warm(&store->places[other]))) {
			uint64_t length = warm->length;

			if (fallocate(store->data[other].fd,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)warm->offset,
				    (off_t)length) != 0)
				return false;
			place_cool(&store->places[other], warm);
			backed -= length;
		}
	}
	return backed <= store->budget;
}

static int no_room(
	const struct store *store, const struct held *held, uint64_t bytes, struct error *err)
{
	char need[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE], allowed[SIZE_TEXT_SIZE];
	uint64_t total = 0;

	for (const struct stored *image = store->ready.oldest; image; image = image->newer)
		if (held_contains(held, image->number))
			total += image->extent->length;
	return error_set(err, STATUS_TRY_AGAIN,
		"no room in the store: %s needed, %s held by clients, %s allowed (--cache)",
		format_size(bytes, need), format_size(total, have),
		format_size(store->budget, allowed));
}

int store_make_room(struct store *store, unsigned segment, uint64_t bytes, struct extent **ret,
	struct error *err)
{
	struct place *place = &store->places[segment];
	struct extent *first, *extent;
	struct held held;
	int status = STATUS_OK, failed;
	uint64_t cold;

	if (!size_align(bytes, PLACE_PAGE, &bytes) || bytes > store->budget) {
		held = (struct held){0};
		return no_room(store, &held, bytes, err);
	}
	/* Growing a segment makes it harder to see that somebody has cut it off. */
	store_check_segments(store);
	if (!held_collect(store->head, seat_holds, store, &held))
		return error_os(err, ENOMEM, "no memory to look for room");
	cold = victims_clear(store, &held, segment, bytes, &first);
	if (cold == UINT64_MAX) {
		status = no_room(store, &held, bytes, err);
		store->refusals++;
	}
	free(held.numbers);
	if (status)
		return status;
	extent = place_take(place, first, bytes);
	if (!extent)
		return error_os(err, ENOMEM, "no memory to make room");
	if (cold) {
		failed = cool_excess(store, segment) ? EINTR : EIO;
		while (failed == EINTR)
			failed = posix_fallocate(
				store->data[segment].fd, (off_t)extent->offset, (off_t)bytes);
		if (failed) {
			place_give(place, extent);
			/* All of it counts as cold: punching also drops what the failed call had
			 * got. */
			while ((first = place_first_warm(place)) &&
				fallocate(store->data[segment].fd,
					FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)first->offset, (off_t)first->length) == 0)
				place_cool(place, first);
			return failed == ENOSPC
				       ? segment_full(cold, err)
				       : error_os(err, failed, "cannot reserve shared memory");
		}
		if (extent->offset + bytes > store->data[segment].size)
			store->data[segment].size = extent->offset + bytes;
		store_check_segments(store);
	}
	*ret = extent;
	return STATUS_OK;
}

struct extent *store_spare_room(struct store *store, unsigned segment, uint64_t most)
{
	struct extent *warm = place_longest_warm(&store->places[segment]);

	if (!warm)
		return NULL;
	return place_take(&store->places[segment], warm, warm->length < most ? warm->length : most);
}

void store_give_room(struct store *store, unsigned segment, struct extent *extent)
{
	place_give(&store->places[segment], extent);
}

/* ---- segments that somebody cut off ---- */

/*
 * Makes the extents that exist exist again, where the segment was cut off, and the segment as long
 * as it was. Cold extents stay holes: they are not within the budget. Without room it stays short,
 * and is found so again.
 */
static void regrow(const struct store *store, unsigned index)
{
	int fd = store->data[index].fd, failed = 0;
	struct stat status;

	for (const struct extent *at = store->places[index].first; at && !failed; at = at->after) {
		if (at->kind == EXTENT_COLD)
			continue;
		do
			failed = posix_fallocate(fd, (off_t)at->offset, (off_t)at->length);
		while (failed == EINTR);
	}
	if (!failed && fstat(fd, &status) == 0 &&
		(uint64_t)status.st_size < store->data[index].size)
		ftruncate(fd, (off_t)store->data[index].size);
}

/* Neither shorter nor emptier than we made it: a segment that was cut off may have grown since. */
static bool segment_whole(const struct store *store, unsigned index)
{
	struct stat status;

	return fstat(store->data[index].fd, &status) != 0 ||
	       ((uint64_t)status.st_size >= store->data[index].size &&
		       (uint64_t)status.st_blocks * 512 >= store->places[index].backed);
}

size_t store_check_segments(struct store *store)
{
	size_t lost = 0;

	for (unsigned i = 0; i < store->segments; i++) {
		if (segment_whole(store, i))
			continue;
		for (struct stored *image = store->ready.oldest; image; image = image->newer)
			if (image->segment == i && image->findable) {
				store_forget(store, image);
				lost++;
			}
		/* Before zeros can be read there. */
		store->cuts[i]++;
		store->all_cuts++;
		atomic_store(&head_server(store->head)->cuts, store->all_cuts);
		regrow(store, i);
	}
	return lost;
}
