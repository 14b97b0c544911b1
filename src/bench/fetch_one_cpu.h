/* Both sides on one CPU, where a spin only keeps the other side from running. */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"

/* An empty request there, beside one between two sides that never spin: one group. */
int fetch_measure_one_cpu(
	struct bench_session *session, const struct pictures *pictures, struct error *err);
