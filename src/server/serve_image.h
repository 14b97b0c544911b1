/*
 * A request for an image: answered at once if the store has it, else its file is opened, by the
 * server itself where that cannot block, else by a helper, and decoded.
 */
#pragma once

#include "server/blocking.h"
#include "server/internal.h"

/* Request thread. */
void serve_image(struct server *server, struct request *request);

/* What a helper found of the file that a request waits for. With the store's lock held. */
void serve_resume(struct server *server, struct file_answer *answer);
