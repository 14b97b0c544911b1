/*
 * Exact sizes: shmsem's resize beside that of Pillow, which a Python of the system runs in turn with
 * it.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"

#define RESIZING_GROUPS 6

/* The photo of the drawn set, in RGB and in RGBA, and the one of 16 bits in grey, to 224x224 by two
 * filters. Without Pillow nothing is measured. */
int resizing_measure(
	struct bench_session *session, const struct pictures *pictures, struct error *err);
