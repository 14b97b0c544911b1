/*
 * Begins what is to be decoded ahead: opens files, and gives jobs to decoders as these become free.
 * With the store's lock held.
 */
#pragma once

#include "server/internal.h"

/* Begins as many as may be at the moment, `most` at most; whether there may be more. The lock is let
 * go while a file is opened. */
bool prefetch_fill(struct server *server, unsigned most);
