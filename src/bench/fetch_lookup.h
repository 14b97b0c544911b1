/*
 * Stored images by their names, many of them, beside a table in private memory.
 */
#pragma once

#include "bench/session.h"

/* Groups of fetch_measure_lookup. */
#define FETCH_LOOKUP_GROUPS 3

/* Has a server of its own decode a small picture under many names, and notes what finding one of
 * them costs; then serves very many names itself. */
int fetch_measure_lookup(struct bench_session *session, struct error *err);
