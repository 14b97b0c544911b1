/*
 * What the Python package costs: measured by python3 itself, which this starts.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"

#define PYTHON_GROUPS 2

/*
 * A stored image fetched and released by Python, also as an array of numpy, beside a memoryview of
 * an mmap; and how long the import takes. Notes the goals of both. SHMSEM_UNAVAILABLE, with what is
 * missing, where python3 has no package shmsem or no numpy. watchdog_begin must have been called.
 */
int python_measure(
	struct bench_session *session, const struct pictures *pictures, struct error *err);
