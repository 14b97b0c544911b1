/*
 * Lists of names. Helpers list what is on each mount by itself; what is in tar shards is in their indexes,
 * those that are kept and those that helpers make now, which are kept then. A request gets a list that
 * was begun after it came, in pages, as it was at that moment; what a mount that hangs has is left out.
 *
 * All with the store's lock held.
 */
#pragma once

#include "server/blocking.h"
#include "server/internal.h"

/* Answers with the next page of the list that there is, or lets the request wait for a new one. */
void names_ask(struct server *server, struct request *request);

/* Begins a list that no request waits for, if none is being made. */
void names_begin(struct server *server);

/* The names of one mount, or that they cannot be listed. */
void names_resume(struct server *server, const struct file_answer *answer);

/* Looks up the indexes of up to `most` shards of the list that is being made; whether there are more to look
 * up now. Completion thread, with the store's lock, which is let go while a shard is opened. */
bool names_fill(struct server *server, unsigned most);
