/*
 * What the server has to tell who runs it. The threads that find it out must not wait for who reads
 * that: it is kept until server_take_notice. Clients and files may give reason for any number of
 * messages: of those of a minute NOTICES_MAX are kept, and how many more there were.
 */
#pragma once

#include "server/internal.h"

/* Keeps a message, or counts it. With the store's lock held. */
void notice_add(struct server *server, const struct error *notice);
