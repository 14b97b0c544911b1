/* The request thread. */
#pragma once

#include "server/internal.h"

/* Once the objects are there. */
void request_init(struct server *server);

void *request_main(void *server);

/* Waits for a request and serves it; without one, for a moment only. */
void request_serve(struct server *server);

/* Answers every request still open with "the server is stopping". Once there are no threads. */
void request_refuse_all(struct server *server);
