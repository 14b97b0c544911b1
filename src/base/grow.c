#include "base/grow.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM_AT_FIRST 32

/* The size of a huge page on x86_64 and most others: a hint, nothing more. */
#define HUGE_PAGE ((size_t)2 << 20)

/* In virtual machines a page fault may take 20 µs: large lists are better off with few large ones. */
static void *move_to_huge_pages(void *items, size_t used, size_t bytes)
{
	size_t rounded = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	void *moved = aligned_alloc(HUGE_PAGE, rounded);

	if (!moved)
		return NULL;
	madvise(moved, rounded, MADV_HUGEPAGE);
	memcpy(moved, items, used);
	free(items);
	return moved;
}

void *grow(void *items, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : ROOM_AT_FIRST;
	void *moved;

	if (count < *room)
		return items;
	if (more > SIZE_MAX / 2 / size)
		return NULL;
	if (items && more * size >= 2 * HUGE_PAGE)
		moved = move_to_huge_pages(items, count * size, more * size);
	else
		moved = realloc(items, more * size);
	if (moved)
		*room = more;
	return moved;
}
