/*
 * Several processes that do the same at the same time, as one subject: an operation is one of each
 * of them, and over when the last is done.
 */
#pragma once

#include "bench/engine.h"

#include <stddef.h>
#include <sys/types.h>

struct crew;

/*
 * Starts `count` processes. Each calls make(context, its index) for the subject it is to run, whose
 * `before`, if there is one, is called before each operation. An error of make's is returned.
 * crew_free ends the processes; takes NULL and returns NULL.
 */
int crew_new(size_t count,
	int (*make)(void *context, size_t index, struct bench_subject *ret, struct error *err),
	void *context, struct crew **ret, struct error *err);
struct crew *crew_free(struct crew *crew);

/*
 * The crew as a subject. What it does may be much shorter than to tell it so and to hear from it:
 * an operation is then `repeat` of each of them.
 */
struct bench_subject crew_subject(struct crew *crew, const char *name, unsigned repeat);

/* One operation of each; how long each took, in ns, by its own clock. */
int crew_run_once(struct crew *crew, double *ret_ns, struct error *err);
