/*
 * The hand-off itself: a server and clients of our own over real images.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"

/* Groups that fetch_measure will measure. */
size_t fetch_groups(const struct bench_session *session, const struct pictures *pictures);

/*
 * Empty requests and stored images, hot and with pauses; each picture decoded fresh, beside the
 * same decode in this process; several clients at once; what a whole process, seats, memory and an
 * idle server cost; an epoch decoded ahead, and a tar shard. Notes every goal. watchdog_begin must have been called.
 */
int fetch_measure(
	struct bench_session *session, const struct pictures *pictures, struct error *err);
