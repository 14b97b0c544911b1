/*
 * The lists of prefetch.h, and what is in them. All with the store's lock held.
 */
#pragma once

#include "server/internal.h"

enum prefetch_state {
	PREFETCH_LISTED,
	PREFETCH_BEGUN,  /* its file is being opened, or its image is to be decoded */
	PREFETCH_HANGS,  /* its file is on a mount that hangs: it delays none behind it */
	PREFETCH_FAILED, /* which is to be told */
};

/* An image of a list. */
struct prefetch {
	struct prefetch *next;        /* of the list */
	struct prefetch *next_wanted; /* for which the same image is decoded */
	struct stored *image;         /* BEGUN, once there is one: this is in its list `wanted` */
	enum prefetch_state state;
	unsigned seat;
	uint64_t order; /* its number among all that were ever listed */
	uint64_t since; /* store.uses when it was listed */
	bool again;     /* its file changed while it was read or decoded: once */
	int status;     /* FAILED: why */
	char *message;  /* may be NULL; heap memory */
	struct image_options options;
	char name[];
};

struct prefetch_list {
	struct prefetch *first;
	size_t count;  /* those that failed included */
	size_t untold; /* that failed */
	size_t begun;
	uint64_t resets; /* of the seat when the list was begun */
	uint64_t decoded, failed;
};

bool prefetch_start(struct server *server);

/* Frees the lists, once there are no threads. */
void prefetch_stop(struct server *server);

/* How often the seat has changed hands. */
uint64_t prefetch_resets(const struct server *server, unsigned seat);

/* Puts the request's name at the end of its seat's list; NULL when out of memory. */
struct prefetch *prefetch_append(struct server *server, const struct request *request);

/* The first one that is not begun; NULL if there is none. */
struct prefetch *prefetch_first_listed(const struct prefetch_list *list);

/* The one of that order, if it is listed still. */
struct prefetch *prefetch_find(const struct server *server, unsigned seat, uint64_t order);

void prefetch_set_state(
	struct server *server, struct prefetch *prefetch, enum prefetch_state state);

/* It is done when that image is decoded. */
void prefetch_join(struct prefetch *prefetch, struct stored *image);

/* Those whose files are open, and those of all before them, are early no more. What is listed again, or
 * not begun yet, delays none. */
void prefetch_in_order(const struct prefetch_list *list);

/* Takes one that wants the image; NULL if there is none any more. */
struct prefetch *prefetch_take_wanting(struct stored *image);

/* Takes one out of its list; then it is to be freed: one that failed, or any. */
void prefetch_unlist(struct prefetch_list *list, const struct prefetch *prefetch);
void prefetch_free(struct prefetch *prefetch);
void prefetch_forget(struct server *server, struct prefetch *prefetch);

/* Ends the seat's list, and what it has in the window. */
void prefetch_drop(struct server *server, unsigned seat);
