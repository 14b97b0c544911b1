#include "server/prefetch_list.h"

#include "server/jobs.h"
#include "server/window.h"

#include <stdlib.h>
#include <string.h>

bool prefetch_start(struct server *server)
{
	server->prefetches.lists = calloc(server->options.seats, sizeof *server->prefetches.lists);
	return server->prefetches.lists;
}

void prefetch_free(struct prefetch *prefetch)
{
	free(prefetch->message);
	free(prefetch);
}

void prefetch_set_state(struct server *server, struct prefetch *prefetch, enum prefetch_state state)
{
	struct prefetches *all = &server->prefetches;
	struct prefetch_list *list = &all->lists[prefetch->seat];

	all->listed -= prefetch->state == PREFETCH_LISTED;
	all->begun -= prefetch->state == PREFETCH_BEGUN;
	list->begun -= prefetch->state == PREFETCH_BEGUN;
	prefetch->state = state;
	all->listed += state == PREFETCH_LISTED;
	all->begun += state == PREFETCH_BEGUN;
	list->begun += state == PREFETCH_BEGUN;
}

static void remove_from_image(struct prefetch *prefetch)
{
	struct prefetch **at = &prefetch->image->wanted;

	while (*at != prefetch)
		at = &(*at)->next_wanted;
	*at = prefetch->next_wanted;
}

void prefetch_forget(struct server *server, struct prefetch *prefetch)
{
	struct stored *image = prefetch->image;

	if (image) {
		remove_from_image(prefetch);
		job_unwanted(server, image);
	}
	prefetch_set_state(server, prefetch, PREFETCH_FAILED);
	prefetch_free(prefetch);
}

void prefetch_drop(struct server *server, unsigned seat)
{
	struct prefetch_list *list = &server->prefetches.lists[seat];

	for (struct prefetch *next; list->first; list->first = next) {
		next = list->first->next;
		prefetch_forget(server, list->first);
	}
	window_drop(&server->store, seat);
	*list = (struct prefetch_list){0};
}

void prefetch_stop(struct server *server)
{
	for (unsigned seat = 0; server->prefetches.lists && seat < server->options.seats; seat++)
		for (struct prefetch *prefetch = server->prefetches.lists[seat].first, *next;
			prefetch; prefetch = next) {
			next = prefetch->next;
			prefetch_free(prefetch);
		}
	free(server->prefetches.lists);
	server->prefetches = (struct prefetches){0};
}

void prefetch_unlist(struct prefetch_list *list, const struct prefetch *prefetch)
{
	struct prefetch **at = &list->first;

	while (*at != prefetch)
		at = &(*at)->next;
	*at = prefetch->next;
	list->count--;
}

struct prefetch *prefetch_append(struct server *server, const struct request *request)
{
	unsigned seat = request->received.seat;
	struct prefetch_list *list = &server->prefetches.lists[seat];
	struct prefetch **at = &list->first;
	size_t length = strlen(request->received.name) + 1;
	struct prefetch *prefetch = calloc(1, sizeof *prefetch + length);

	if (!prefetch)
		return NULL;
	prefetch->seat = seat;
	prefetch->order = ++server->prefetches.order;
	prefetch->since = server->store.uses;
	prefetch->options = request->options;
	memcpy(prefetch->name, request->received.name, length);
	while (*at)
		at = &(*at)->next;
	*at = prefetch;
	list->count++;
	server->prefetches.listed++; /* the state that it has */
	return prefetch;
}

struct prefetch *prefetch_first_listed(const struct prefetch_list *list)
{
	struct prefetch *prefetch = list->first;

	while (prefetch && prefetch->state != PREFETCH_LISTED)
		prefetch = prefetch->next;
	return prefetch;
}

struct prefetch *prefetch_find(const struct server *server, unsigned seat, uint64_t order)
{
	struct prefetch *prefetch = server->prefetches.lists[seat].first;

	while (prefetch && prefetch->order != order)
		prefetch = prefetch->next;
	return prefetch;
}

void prefetch_join(struct prefetch *prefetch, struct stored *image)
{
	prefetch->image = image;
	prefetch->next_wanted = image->wanted;
	image->wanted = prefetch;
}

void prefetch_in_order(const struct prefetch_list *list)
{
	/* One that waits for room is listed again, before others that are begun. */
	for (const struct prefetch *at = list->first; at; at = at->next) {
		if (at->state == PREFETCH_BEGUN && !at->image)
			return;
		if (at->image && at->image->job)
			at->image->job->early = false;
	}
}

struct prefetch *prefetch_take_wanting(struct stored *image)
{
	struct prefetch *prefetch = image->wanted;

	if (prefetch) {
		image->wanted = prefetch->next_wanted;
		prefetch->image = NULL;
	}
	return prefetch;
}

uint64_t prefetch_resets(const struct server *server, unsigned seat)
{
	return atomic_load(&head_seat_counters(&server->objects.head, seat)->resets);
}
