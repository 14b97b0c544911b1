/*
 * What seats, memory, an idle server and a whole process cost.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"

/* Groups of fetch_measure_resources. */
#define FETCH_RESOURCE_GROUPS 2

int fetch_measure_resources(
	struct bench_session *session, const struct pictures *pictures, struct error *err);

/* Lets so much time pass, unless bench is to end. */
int fetch_do_nothing(uint64_t ns, struct error *err);
