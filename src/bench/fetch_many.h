/*
 * Many images, each asked for once in turn.
 */
#pragma once

#include "bench/session.h"

/* Groups of fetch_measure_many. */
#define FETCH_MANY_GROUPS 2

/* A first epoch whose images were listed to be decoded ahead, beside one without; and members of a
 * tar shard beside the same images as plain files, all decoded. */
int fetch_measure_many(struct bench_session *session, struct error *err);
