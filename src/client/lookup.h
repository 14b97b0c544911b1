/* A stored image without asking the server. */
#pragma once

#include "client/connection.h"

#include <stdbool.h>

/* Opens the server's index, if it has one. A connection without does not look anything up. */
void lookup_open(struct connection *connection);

/*
 * Looks an image up. If it is found, the hold holds it, and its answer is what the server would
 * give. False if the server must be asked.
 */
bool lookup(struct connection *connection, unsigned hold, const char *name,
	const struct wire_options *options, struct index_answer *ret);
