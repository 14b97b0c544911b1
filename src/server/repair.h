/*
 * What was done to the server's objects from outside, found out and made good. Anybody with its
 * user's rights can remove, cut off and overwrite them; who does so is to harm himself, not the
 * others.
 */
#pragma once

#include "server/internal.h"

/* Keeps a copy of what HEAD says for as long as the server runs. Once that is all written. */
void repair_remember(struct server *server);

/*
 * Gives HEAD and semaphores that were truncated their length and contents back; processes that
 * waited on them find that out by the state words. STATUS_UNAVAILABLE if an object has lost its
 * name, naming it: HEAD's, and all others soon after names came or went in /dev/shm. Thorough: looks
 * at some in any case, as a file that was truncated does not change its folder.
 */
int repair_objects(struct server *server, bool thorough, struct error *err);
