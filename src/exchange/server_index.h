/*
 * INDEX among the objects of a server (server_objects.h), the only one that may be made again while
 * the server runs.
 */
#pragma once

#include "exchange/server_objects.h"

/* Bytes of address space that it is given. */
size_t server_index_reserve(const struct server_objects *server_objects);

/* Not yet announced (server_index_announce). After a failure, too, release it. */
int server_index_create(struct server_objects *server_objects, struct error *err);

/* Unmaps and closes it; what was not made is left alone. */
void server_index_release(struct server_objects *server_objects);

/* Unlinks INDEX, in which nothing is found from now on, and which stays mapped. */
void server_index_drop(struct server_objects *server_objects);

/* Makes another INDEX after that, empty, and unmaps the one of before. Requesters do not look for
 * it before it is announced. No room: STATUS_TRY_AGAIN; then there is none, and none is mapped. */
int server_index_renew(struct server_objects *server_objects, struct error *err);
void server_index_announce(struct server_objects *server_objects);
