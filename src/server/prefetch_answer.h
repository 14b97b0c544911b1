/*
 * Requests WIRE_PREFETCH: what is put on the list, and what is told of it. With the store's lock held.
 */
#pragma once

#include "server/internal.h"

/* Takes a request, which waits if the list is full, or if it asks for news and there are none. Request
 * thread. */
void prefetch_ask(struct server *server, struct request *request);

/* Answers the request of a seat that waits, if it can be by now. */
void prefetch_look(struct server *server, unsigned seat);
