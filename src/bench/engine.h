/*
 * Times things, and knows nothing of what it times.
 *
 * A subject is something that can be done many times in a row. Subjects that are to be compared are
 * measured together, in turn: a short run of each, then again a short run of each (A B A B), so
 * that what slows the machine down for a while slows all of them, and their ratios hold.
 *
 * A sample is the time of one operation; of operations that are too short for the clock, the mean
 * of a few in a row (the batch). Every sample is kept.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_subject {
	const char *name;
	void *context;
	/* Not timed, may be NULL: so many operations will now follow, in calls of run. */
	int (*prepare)(void *context, uint64_t operations, struct error *err);
	/* Timed: does so many operations. An error ends the whole measurement. */
	int (*run)(void *context, uint64_t operations, struct error *err);
	/* Not timed, may be NULL: makes ready for one operation. A sample is then one. */
	int (*before)(void *context, struct error *err);
	uint64_t pause_ns; /* slept before each sample, of one; 0: one after the other */
};

struct bench_plan {
	uint64_t time_ns;      /* for each subject, shared out to its runs */
	unsigned runs;         /* of each subject, at least 1 */
	unsigned warmup;       /* runs of each before them that are not counted */
	uint64_t (*now)(void); /* a clock in nanoseconds; NULL: the monotonic one */
	bool (*stopped)(void); /* asked between samples: end with an error; may be NULL */
	/* Told after every run, warm-up included; may be NULL. */
	void (*progress)(void *context, unsigned done, unsigned total);
	void *progress_context;
};

/* What was measured of one subject: its samples, run after run. */
struct bench_series {
	double *samples;   /* nanoseconds an operation, in the order they were taken */
	size_t *run_sizes; /* samples in each run */
	size_t count;
	unsigned runs;
	uint64_t batch; /* operations in a sample */
};

/* In nanoseconds an operation. */
struct bench_statistics {
	double least, p50, p90, p99, most, mean;
	double spread; /* how far runs differ: the middle half of their medians / their median */
};

/* No run of a subject takes more samples than this, however much time is left. */
#define BENCH_SAMPLES_MAX 1000

/* Runs whose medians spread further than this are too noisy to trust. */
#define BENCH_SPREAD_MAX 0.10

/*
 * Measures subjects[0..count) in turn into series[0..count), to be released with
 * bench_series_release, also after an error.
 */
int bench_measure(const struct bench_subject *subjects, size_t count, const struct bench_plan *plan,
	struct bench_series *series, struct error *err);

void bench_series_release(struct bench_series *series);

/* All zero for a series without samples. STATUS_TRY_AGAIN if there is no memory. */
int bench_statistics(
	const struct bench_series *series, struct bench_statistics *ret, struct error *err);

/*
 * How many times as long `series` took as `reference`, measured in turn with it: the median over
 * the runs of the ratio of their medians. 0 if there is none.
 */
double bench_ratio(const struct bench_series *series, const struct bench_series *reference);

/*
 * The value that at least `percent` of the values do not exceed (the nearest rank, no
 * interpolation); `values` are sorted, `count` is not 0.
 */
double bench_percentile(const double *values, size_t count, double percent);

/* The median of values in any order; NaN of none, or without memory. */
double bench_median(const double *values, size_t count);
