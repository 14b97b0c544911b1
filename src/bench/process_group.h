/*
 * Several processes that do the same at the same time, as one subject: an operation is one of each
 * of them, and over when the last is done.
 */
#pragma once

#include "bench/engine.h"

#include <stddef.h>
#include <sys/types.h>

struct process_group;

/*
 * Starts `count` processes. Each calls make(context, its index) for the subject it is to run, whose
 * `before`, if there is one, is called before each operation. An error of make's is returned.
 * process_group_free ends the processes; takes NULL and returns NULL.
 */
int process_group_new(size_t count,
	int (*make)(void *context, size_t index, struct bench_subject *ret, struct error *err),
	void *context, struct process_group **ret, struct error *err);
struct process_group *process_group_free(struct process_group *process_group);

static inline void cleanup_process_group(struct process_group **process_group)
{
	*process_group = process_group_free(*process_group);
}

#define AUTO_PROCESS_GROUP __attribute__((cleanup(cleanup_process_group)))

/*
 * The process group as a subject. What it does may be much shorter than to tell it so and to hear
 * from it: an operation is then `repeat` of each of them.
 */
struct bench_subject process_group_subject(
	struct process_group *process_group, const char *name, unsigned repeat);

/* One operation of each; how long each took, in ns, by its own clock. */
int process_group_run_once(struct process_group *process_group, double *ret_ns, struct error *err);
