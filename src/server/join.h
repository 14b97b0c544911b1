/*
 * The responder of the classic exchange: images of a folder for a program that creates the objects
 * itself and asks for one image after the other.
 */
#pragma once

#include "server/server.h"

#include <stdbool.h>

struct join;

/*
 * Starts a thread that waits for the requester, answers it, and waits for the next when it has
 * gone. Of the options it uses the namespace, the folder, the number of requests and the limits.
 * `say` is called in that thread with a message for each image that could not be served. Free with
 * join_stop.
 */
int join_start(const struct server_options *options, void (*say)(const char *message),
	struct join **ret, struct error *err);

/* STATUS_OK, or why it has ended by itself. *ret_done: it has answered as many requests as it was
 * to. */
int join_upkeep(struct join *join, bool *ret_done, struct error *err);

/* Ends the decoder and the thread; an image under way is answered with zeros. NULL is ignored. */
void join_stop(struct join *join);
