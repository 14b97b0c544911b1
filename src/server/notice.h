/*
 * What the server has to tell who runs it. The threads that find it out must not wait for who reads
 * that: it is kept until server_take_notice.
 */
#pragma once

#include "server/internal.h"

/* Keeps a message, unless a thousand wait already. With the store's lock held. */
void notice_add(struct server *server, const char *text);

/* Frees those that were not taken, once there are no threads. */
void notices_free(struct server *server);
