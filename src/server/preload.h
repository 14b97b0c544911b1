/*
 * Decoding at start: images go into the store before anybody asks.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct server;

struct preload_progress {
	size_t images; /* to be decoded */
	size_t done;   /* of them, failures included */
	size_t failed;
	bool full;     /* the store was, before all were done */
	bool finished; /* the last call */
};

/* What is to be decoded, and what is called about it. */
struct preload_options {
	const char *const *patterns; /* fnmatch(3), for the name with or without its extension */
	size_t patterns_count;
	/* Called about ten times a second and at the end, by the thread that starts the server;
	 * false ends it all. */
	bool (*progress)(void *context, const struct preload_progress *progress);
	/* A message about each image that could not be decoded; called by any thread. */
	void (*say)(const char *message);
	void *context; /* of `progress` */
};

struct preload;

/* Before there are threads. */
int preload_new(struct server *server, struct error *err);
struct preload *preload_free(struct preload *preload);

/* Lists what is to be decoded, has it decoded, and waits for that. STATUS_UNAVAILABLE when `progress` ended it. */
int preload_run(struct server *server, struct error *err);

/* An image is decoded, or failed. With the store's lock held. */
void preload_done(struct preload *preload, const struct error *failure);
