/*
 * What a large server costs: many seats, many folders in use, many names.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"

/* Groups of fetch_measure_scale. */
#define FETCH_SCALE_GROUPS 4

/* Each beside the same with little of it: an empty request and a miss with 1,024 seats, a miss with
 * images of 1,000 folders stored, and a list of 10,000 names, made anew, beside find(1). */
int fetch_measure_scale(struct bench_session *session, struct error *err);
