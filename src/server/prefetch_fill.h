/*
 * Begins what is to be decoded ahead: opens files, and gives jobs to decoders as these become free.
 * Both with the store's lock held.
 */
#pragma once

#include "server/blocking.h"
#include "server/internal.h"

/* Begins as many as may be at the moment, `most` at most; whether there may be more. The lock is let
 * go while a file is opened. */
bool prefetch_fill(struct server *server, unsigned most);

/* What a helper found of a file. */
void prefetch_resume(struct server *server, struct file_answer *answer);
