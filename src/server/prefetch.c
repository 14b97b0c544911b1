#include "server/prefetch.h"

#include "base/clock.h"
#include "server/jobs.h"
#include "server/prefetch_answer.h"
#include "server/recency.h"
#include "server/window.h"
#include "shm/lock.h"

#include <stdlib.h>
#include <string.h>

/* Begun at a time of each list beside one for each decoder: their files are open when a decoder is free. A
 * list whose files do not open delays no other. Of all lists as many as there may be descriptors for. */
#define BEGUN_SPARE 2
#define BEGUN_MAX   256

/* While the window is full: what was found in the index is looked at so often. */
#define LOOK_NS (20 * NS_PER_MS)

/* After one was refused room another is tried when an image was used, or after so long. */
#define REFUSED_NS (100 * NS_PER_MS)

/* Whether it is no use to begin another one now. */
static bool refused(struct server *server)
{
	struct prefetches *all = &server->prefetches;

	if (all->refused && (server->store.window.used != all->refused_used ||
				    clock_now() - all->refused_at >= REFUSED_NS))
		all->refused = false;
	return all->refused;
}

bool prefetch_possible(struct server *server)
{
	const struct prefetches *all = &server->prefetches;

	if ((!all->listed && !server->ahead_line.first) || atomic_load(&server->stopping))
		return false;
	if (window_full(&server->store) || all->refused)
		recency_take_in(&server->store);
	if (!window_full(&server->store) && !refused(server))
		return true;
	decoder_set_timer(server, deadline_after(LOOK_NS));
	return false;
}

static bool may_begin(const struct server *server, unsigned seat)
{
	const struct prefetches *all = &server->prefetches;

	return all->begun < BEGUN_MAX &&
	       all->lists[seat].begun < server->options.decoders + BEGUN_SPARE;
}

struct prefetch *prefetch_take(struct server *server)
{
	struct prefetches *all = &server->prefetches;
	struct prefetch *prefetch = NULL;

	if (!all->listed || !prefetch_possible(server))
		return NULL;
	for (unsigned i = 0; !prefetch && i < server->options.seats; i++) {
		all->last = (all->last + 1) % server->options.seats;
		if (may_begin(server, all->last))
			prefetch = prefetch_first_listed(&all->lists[all->last]);
	}
	if (prefetch)
		prefetch_set_state(server, prefetch, PREFETCH_BEGUN);
	return prefetch;
}

bool prefetch_resume(struct server *server, struct prefetch *prefetch)
{
	bool may = may_begin(server, prefetch->seat);

	prefetch_set_state(server, prefetch, may ? PREFETCH_BEGUN : PREFETCH_LISTED);
	return may;
}

void prefetch_done(struct server *server, struct prefetch *prefetch)
{
	unsigned seat = prefetch->seat;
	struct prefetch_list *list = &server->prefetches.lists[seat];

	prefetch_unlist(list, prefetch);
	prefetch_forget(server, prefetch);
	list->decoded++;
	prefetch_look(server, seat);
}

void prefetch_fail(struct server *server, struct prefetch *prefetch, const struct error *failure)
{
	struct prefetch_list *list = &server->prefetches.lists[prefetch->seat];
	struct error shown = *failure;

	within_hide(&server->within, &shown);
	prefetch_set_state(server, prefetch, PREFETCH_FAILED);
	prefetch->status = failure->status;
	prefetch->message = strdup(shown.text);
	list->failed++;
	list->untold++;
	prefetch_look(server, prefetch->seat);
}

void prefetch_settled(
	struct server *server, struct stored *image, bool used, const struct error *failure)
{
	struct prefetch *prefetch;

	if (used && image->extent)
		window_use_other(&server->store);
	if (image->wanted && !failure && !used)
		window_add(&server->store, image, image->wanted->seat, image->wanted->order);
	while ((prefetch = prefetch_take_wanting(image)))
		if (failure)
			prefetch_fail(server, prefetch, failure);
		else
			prefetch_done(server, prefetch);
}

static void list_again(struct server *server, struct stored *image, bool again)
{
	struct prefetch *prefetch;

	while ((prefetch = prefetch_take_wanting(image))) {
		prefetch->again |= again;
		prefetch_set_state(server, prefetch, PREFETCH_LISTED);
	}
}

bool prefetch_when_room(struct server *server, struct stored *image)
{
	struct prefetches *all = &server->prefetches;

	if (!image->wanted || image->waiters ||
		(!server->store.window.images.count && all->begun < 2))
		return false;
	list_again(server, image, false);
	all->refused = true;
	all->refused_at = clock_now();
	all->refused_used = server->store.window.used;
	return true;
}

bool prefetch_once_more(struct server *server, struct stored *image)
{
	const struct prefetch *at = image->wanted;

	if (!at || image->waiters)
		return false;
	while (at && !at->again)
		at = at->next_wanted;
	if (at)
		return false;
	list_again(server, image, true);
	return true;
}

/* ---- clients that are gone ---- */

/* Whether the seat is not that of the client that made the list any more. */
static bool gone(const struct server *server, unsigned seat)
{
	const struct head *head = &server->objects.head;

	return prefetch_resets(server, seat) != server->prefetches.lists[seat].resets ||
	       lock_held(head->segment.fd, head_seat_lock(head, seat), 1) == 0;
}

void prefetch_upkeep(struct server *server)
{
	for (unsigned seat = 0; seat < server->options.seats; seat++) {
		const struct prefetch_list *list = &server->prefetches.lists[seat];

		if ((list->count || server->store.window.seats[seat].count) && gone(server, seat))
			prefetch_drop(server, seat);
	}
}
