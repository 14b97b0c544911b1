/*
 * Images that are decoded ahead: by threads that have seats of their own, fetch what is in line, and
 * hold nothing.
 */
#pragma once

#include "python/options.h"
#include "python/python.h"

struct prefetch;

/*
 * Puts names in line, to be fetched as *chosen says; *prefetch is made if it is NULL, and uses that
 * connection's options from then on. Does not wait. -1 with an exception, and nothing put in line.
 */
int prefetch_add(struct prefetch **prefetch, const struct shmsem_connect_options *options,
	PyObject *names, const struct call_options *chosen);

/* Drops what is still in line; takes NULL and returns NULL. */
struct prefetch *prefetch_free(struct prefetch *prefetch);
