/*
 * The supply thread: gives decoders what takes the system a while, processes and room that does not
 * exist yet, so that no thread that answers has to wait for it. And mends segments that somebody
 * truncated.
 */
#pragma once

#include "server/internal.h"

/* 0, or an errno. */
int supply_start(struct server *server);

/* Once the completion thread has ended. */
void supply_stop(struct server *server);
