/*
 * Stored images by their names, many of them, beside a table in private memory.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"

/* Groups of fetch_measure_lookup. */
#define FETCH_LOOKUP_GROUPS 2

/* The first picture under many names. */
int fetch_measure_lookup(
	struct bench_session *session, const struct pictures *pictures, struct error *err);
