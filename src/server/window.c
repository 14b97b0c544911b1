#include "server/window.h"

#include "server/store_tables.h"

/* Of the store's room: the rest is for images that somebody waits for. */
#define SHARE_PERCENT 75

/* Readers that use a list in its order lie apart by no more than so many images, or by as many as the
 * window has of the list. */
#define SPREAD 256

/* While it is full, and none of it is used: so many uses of others for each image in it change nothing. */
#define OTHERS 2

static bool over(const struct store *store)
{
	return store->window.bytes >= store->budget / 100 * SHARE_PERCENT;
}

/* It goes to the list of all others, as the most recently used one. */
static void leave(struct store *store, struct stored *image)
{
	store_list_remove(store, image);
	image->prefetched.unused = false;
	store_list_append(store, image);
}

void window_add(struct store *store, struct stored *image, unsigned seat, uint64_t order)
{
	if (image->prefetched.unused && image->prefetched.order > order)
		return;
	store_list_remove(store, image);
	image->prefetched = (struct prefetched){.unused = true, .seat = seat, .order = order};
	store_list_append(store, image);
}

void window_use(struct store *store, struct stored *image)
{
	struct unused *unused = &store->window.seats[image->prefetched.seat];

	if (!image->prefetched.unused) {
		/* Again and again the same one is one use. */
		if (store->ready.newest != image)
			window_use_other(store);
		store_touch(store, image);
		return;
	}
	if (image->prefetched.order > unused->passed)
		unused->passed = image->prefetched.order;
	leave(store, image);
	store->window.used++;
	store->window.others_used = 0;
}

void window_use_other(struct store *store)
{
	store->window.others_used += over(store);
}

/* Whether the readers of its list have passed it by. */
static bool passed(const struct store *store, const struct stored *image)
{
	const struct unused *unused = &store->window.seats[image->prefetched.seat];
	uint64_t apart = unused->count > SPREAD ? unused->count : SPREAD;

	return image->prefetched.order + apart < unused->passed;
}

static void drop_passed(struct store *store)
{
	for (struct stored *image = store->window.images.oldest, *newer; image; image = newer) {
		newer = image->newer;
		if (!passed(store, image))
			continue;
		leave(store, image);
		store->window.used++;
	}
}

/* The oldest, as far as others were used instead. */
static void drop_ignored(struct store *store)
{
	while (over(store) && store->window.others_used > OTHERS * store->window.images.count) {
		leave(store, store->window.images.oldest);
		store->window.used++;
		store->window.others_used--;
	}
}

bool window_full(struct store *store)
{
	if (over(store))
		drop_passed(store);
	drop_ignored(store);
	return over(store);
}

bool window_give_up(struct store *store, uint64_t bytes)
{
	uint64_t before = store->window.bytes;

	if (!store->window.images.newest)
		return false;
	while (store->window.images.newest && before - store->window.bytes < bytes)
		leave(store, store->window.images.newest);
	return true;
}

void window_drop(struct store *store, unsigned seat)
{
	for (struct stored *image = store->window.images.oldest, *newer; image; image = newer) {
		newer = image->newer;
		if (image->prefetched.seat == seat)
			leave(store, image);
	}
	store->window.seats[seat] = (struct unused){0};
}
