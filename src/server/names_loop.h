/*
 * Lists of names, which may take long: a thread makes them. Who asks for a list gets one that was
 * begun after that, in pages, as it was at that moment.
 */
#pragma once

#include "server/internal.h"

/* 0, or an errno. */
int names_start(struct server *server);
void names_stop(struct server *server);

/* Makes a list and answers those who waited when it was begun. With the store's lock held, which is
 * let go meanwhile. */
void names_serve(struct server *server);

/* Answers with the next page of the list that there is, or lets the request wait for a new one. */
void names_ask(struct server *server, struct request *request);
