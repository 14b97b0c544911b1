/*
 * What finding stored images costs the server, and what a file that grows beside them does to that.
 */
#pragma once

#include "bench/session.h"

int fetch_measure_beside(struct bench_session *session, struct error *err);
