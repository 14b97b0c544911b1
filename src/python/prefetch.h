/*
 * Images that are decoded ahead: by the server's list of a client that a thread has, which ends when
 * all of them are decoded. From a server that cannot prefetch the thread fetches them.
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
