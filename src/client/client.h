/* A client as the rest of the library needs it: made first, connected later, so that others can
 * cancel the connecting. */
#pragma once

#include "base/error.h"
#include "shmsem.h"

/* A client that is not connected; free it with shmsem_close. `options` may be NULL. */
int client_new(
	struct shmsem **ret, const struct shmsem_connect_options *options, struct error *err);

/* Connects it, waiting for a server as its options say; nothing to do if it is. */
int client_connect(struct shmsem *client, struct error *err);
