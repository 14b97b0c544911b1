/*
 * Answers to requests: at once, later with an image that is being decoded, or never.
 */
#pragma once

#include "server/internal.h"

/* What an answer says of an image that is decoded, to every requester. */
void answer_describe(const struct server *server, const struct stored *image,
	struct wire_answer *ret, uint64_t ret_words[4]);

/* Why there is none. */
void answer_failure(
	struct server *server, const struct request *request, const struct error *failure);

/* Gives an image that is known to the requester, or lets the request wait for it. With the store's
 * lock held. */
void answer_with(struct server *server, struct request *request, struct stored *image);

/* Lets the request wait for the image, unless it was withdrawn. With the store's lock held. */
void answer_later(struct server *server, struct request *request, struct stored *image);

/* Lets the request wait no longer, for an image or for names: it was withdrawn, or all are refused.
 * With the store's lock held. */
void answer_never(struct server *server, struct request *request);

/* Answers all who wait for the image, which is decoded or failed. With the store's lock held. */
void answer_waiters(struct server *server, struct stored *image);
