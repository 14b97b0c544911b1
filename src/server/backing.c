#include "server/backing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a segment that may exist where there is nothing, for the system's own rounding. */
#define EXCESS_MAX (UINT64_C(8) << 20)

struct range {
	uint64_t offset, length;
};

int backing_reserve(struct store *store, unsigned index, uint64_t offset, uint64_t length)
{
	struct segment segment = store->data[index];
	int failed;

	store->changing[index] += length;
	store_unlock(store);
	failed = segment_reserve(&segment, offset, length);
	store_lock(store);
	store->changing[index] -= length;
	store->data[index].size = segment.size;
	return failed;
}

/* The bytes are given back to the system; false if it does not take them. The lock is let go
 * meanwhile. */
static bool punch_hole(struct store *store, unsigned index, struct range range)
{
	int fd = store->data[index].fd, failed;

	store->changing[index] += range.length;
	store_unlock(store);
	failed = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range.offset,
		(off_t)range.length);
	store_lock(store);
	store->changing[index] -= range.length;
	return !failed;
}

bool backing_give_hole(struct store *store, unsigned index, struct extent *extent)
{
	struct range range = {extent->offset, extent->length};
	bool punched = punch_hole(store, index, range);

	(punched ? arena_give_hole : arena_give)(&store->arenas[index], extent);
	return punched;
}

/* The parts of a segment that are holes, or those that are not; NULL when out of memory. */
static struct range *list_ranges(const struct arena *arena, bool holes, size_t *ret_count)
{
	struct range *ranges;
	size_t count = 0;

	for (const struct extent *at = arena->first; at; at = at->after)
		count++;
	ranges = calloc(count, sizeof *ranges);
	count = 0;
	for (const struct extent *at = arena->first; ranges && at; at = at->after)
		if ((at->kind == EXTENT_HOLE) == holes)
			ranges[count++] = (struct range){at->offset, at->length};
	*ret_count = count;
	return ranges;
}

void store_punch_holes(struct store *store, unsigned index)
{
	size_t count;
	struct range *holes = list_ranges(&store->arenas[index], true, &count);

	for (size_t i = 0; holes && i < count; i++)
		if (holes[i].offset < store->data[index].size)
			punch_hole(store, index, holes[i]);
	free(holes);
}

bool store_has_excess(const struct store *store, unsigned index)
{
	struct stat status;

	return fstat(store->data[index].fd, &status) == 0 &&
	       (uint64_t)status.st_blocks * 512 >
		       store->arenas[index].backed + store->changing[index] + EXCESS_MAX;
}

/* ---- segments that somebody truncated ---- */

/* Neither shorter nor emptier than we made it: a segment that was truncated may have grown since. */
static bool segment_whole(const struct store *store, unsigned index)
{
	struct stat status;

	return fstat(store->data[index].fd, &status) != 0 ||
	       ((uint64_t)status.st_size >= store->data[index].size &&
		       (uint64_t)status.st_blocks * 512 + store->changing[index] >=
			       store->arenas[index].backed);
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

size_t backing_lost(struct store *store, unsigned index)
{
	size_t lost = forget_images(store, &store->ready, index) +
		      forget_images(store, &store->unnamed, index) +
		      forget_images(store, &store->window.images, index);

	store->damaged[index] = true;
	/* What is in the index says how often a segment was truncated so far. */
	index_writer_clear(&store->index);
	/* Before zeros can be read there. */
	store->truncations[index]++;
	store->all_truncations++;
	atomic_store(&head_server(store->head)->truncations, store->all_truncations);
	return lost;
}

size_t store_check_segment(struct store *store, unsigned segment)
{
	return store->damaged[segment] || segment_whole(store, segment)
		       ? 0
		       : backing_lost(store, segment);
}

size_t store_check_segments(struct store *store)
{
	size_t lost = 0;

	for (unsigned i = 0; i < store->segments; i++)
		lost += store_check_segment(store, i);
	return lost;
}

/* Makes what existed exist again, and the segment as long as it was. Holes stay holes: they are not
 * within the budget. */
static void mend(struct store *store, unsigned index)
{
	struct segment *segment = &store->data[index];
	size_t count;
	struct range *ranges = list_ranges(&store->arenas[index], false, &count);
	bool failed = !ranges;
	struct stat status;

	for (size_t i = 0; i < count && !failed; i++)
		failed = backing_reserve(store, index, ranges[i].offset, ranges[i].length) != 0;
	free(ranges);
	if (failed || fstat(segment->fd, &status) != 0)
		return;
	if ((size_t)status.st_size < segment->size &&
		ftruncate(segment->fd, (off_t)segment->size) != 0)
		return;
	store->damaged[index] = false;
}

void store_mend(struct store *store)
{
	for (unsigned i = 0; i < store->segments; i++)
		if (store->damaged[i])
			mend(store, i);
}
