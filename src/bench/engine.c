#include "bench/engine.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Reading the clock may be this part of a sample; shorter operations are timed several at once. */
#define CLOCK_SHARE 100

/* A run's samples are taken in about so many portions. */
#define PORTIONS 8

/* A first guess of an operation's length takes at least this long. */
#define CALIBRATION_NS (200 * NS_PER_US)

struct engine {
	const struct bench_plan *plan;
	const struct bench_subject *subjects;
	struct bench_series *series;
	double *operation_ns; /* of each subject, as last seen */
	size_t count;
	uint64_t clock_ns; /* what it costs to read the clock */
	unsigned done;
};

static uint64_t engine_now(const struct engine *engine)
{
	return engine->plan->now ? engine->plan->now() : clock_now();
}

static int compare_values(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

double bench_percentile(const double *values, size_t count, double percent)
{
	double rank = ceil(percent / 100 * (double)count);

	if (rank < 1)
		rank = 1;
	return values[rank > (double)count ? count - 1 : (size_t)rank - 1];
}

/* The median of values that are in no order and stay so; NAN if there is no memory or no value. */
double bench_median(const double *values, size_t count)
{
	AUTO_FREE double *sorted = count ? malloc(count * sizeof *sorted) : NULL;

	if (!sorted)
		return NAN;
	memcpy(sorted, values, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, compare_values);
	return bench_percentile(sorted, count, 50);
}

static uint64_t clock_cost(const struct engine *engine)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 64; i++) {
		uint64_t before = engine_now(engine), after = engine_now(engine);

		if (after - before < least)
			least = after - before;
	}
	return least ? least : 1;
}

static int run_prepared(const struct bench_subject *subject, uint64_t operations, struct error *err)
{
	return subject->prepare ? subject->prepare(subject->context, operations, err) : STATUS_OK;
}

/* Of a batch, only the first operation would be one after a pause, or one made ready for. */
static bool sampled_alone(const struct bench_subject *subject)
{
	return subject->pause_ns || subject->before;
}

/* Doubles the number of operations until they last long enough to tell how long one takes. */
static int calibrate(struct engine *engine, size_t index, struct error *err)
{
	const struct bench_subject *subject = &engine->subjects[index];
	struct bench_series *series = &engine->series[index];
	double sample_ns = (double)(engine->clock_ns * CLOCK_SHARE);

	for (uint64_t operations = 1;; operations *= 2) {
		uint64_t before, took;
		int status = run_prepared(subject, operations, err);

		if (!status && subject->before)
			status = subject->before(subject->context, err);
		if (status)
			return status;
		before = engine_now(engine);
		status = subject->run(subject->context, operations, err);
		if (status)
			return status;
		took = engine_now(engine) - before;
		if (took < CALIBRATION_NS && operations < 1 << 20 && !sampled_alone(subject))
			continue;
		engine->operation_ns[index] = (double)(took ? took : 1) / (double)operations;
		break;
	}
	if (engine->operation_ns[index] < sample_ns && !sampled_alone(subject))
		series->batch = (uint64_t)ceil(sample_ns / engine->operation_ns[index]);
	else
		series->batch = 1;
	return STATUS_OK;
}

/* How many samples of the subject fit into one run. */
static size_t samples_in_run(const struct engine *engine, size_t index)
{
	double sample_ns = engine->operation_ns[index] * (double)engine->series[index].batch;
	double fit = (double)engine->plan->time_ns / engine->plan->runs /
		     (sample_ns + (double)engine->subjects[index].pause_ns);

	if (fit < 1)
		return 1;
	return fit > BENCH_SAMPLES_MAX ? BENCH_SAMPLES_MAX : (size_t)fit;
}

static void sleep_for(uint64_t ns)
{
	struct timespec time = clock_timespec(ns);

	/* An interruption shortens one pause; the flag that it sets is looked at right after it. */
	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static int take_samples(
	struct engine *engine, size_t index, double *samples, size_t count, struct error *err)
{
	const struct bench_subject *subject = &engine->subjects[index];
	uint64_t batch = engine->series[index].batch;
	int status = run_prepared(subject, batch * count, err);

	for (size_t i = 0; !status && i < count; i++) {
		uint64_t before;

		if (engine->plan->stopped && engine->plan->stopped())
			return error_set(err, STATUS_UNAVAILABLE, "interrupted");
		if (subject->pause_ns)
			sleep_for(subject->pause_ns);
		if (subject->before)
			status = subject->before(subject->context, err);
		if (status)
			return status;
		before = engine_now(engine);
		status = subject->run(subject->context, batch, err);
		samples[i] = (double)(engine_now(engine) - before) / (double)batch;
	}
	return status;
}

/*
 * Takes up to `count` samples, a portion at a time, and no more portions once the run's time is
 * over: operations may turn out to be much longer than the last ones were.
 */
static int take_portions(struct engine *engine, size_t index, double *samples, size_t count,
	size_t *ret_taken, struct error *err)
{
	uint64_t end = engine_now(engine) + engine->plan->time_ns / engine->plan->runs;
	size_t portion = count / PORTIONS + (count % PORTIONS != 0), taken = 0;
	int status;

	do {
		size_t left = count - taken, now = left < portion ? left : portion;

		status = take_samples(engine, index, samples + taken, now, err);
		taken += now;
	} while (!status && taken < count && engine_now(engine) < end);
	*ret_taken = taken;
	return status;
}

/* One run of one subject; its samples are added to the series if it is `counted`. */
static int run_once(struct engine *engine, size_t index, bool counted, struct error *err)
{
	struct bench_series *series = &engine->series[index];
	size_t count = samples_in_run(engine, index);
	double *grown, median;
	int status;

	grown = realloc(series->samples, (series->count + count) * sizeof *grown);
	if (!grown)
		return error_os(err, ENOMEM, "cannot keep the samples");
	series->samples = grown;
	status = take_portions(engine, index, grown + series->count, count, &count, err);
	if (status)
		return status;
	median = bench_median(grown + series->count, count);
	if (median > 0)
		engine->operation_ns[index] = median;
	if (counted) {
		series->run_sizes[series->runs++] = count;
		series->count += count;
	}
	engine->done++;
	if (engine->plan->progress)
		engine->plan->progress(engine->plan->progress_context, engine->done,
			(engine->plan->warmup + engine->plan->runs) * (unsigned)engine->count);
	return STATUS_OK;
}

int bench_measure(const struct bench_subject *subjects, size_t count, const struct bench_plan *plan,
	struct bench_series *series, struct error *err)
{
	AUTO_FREE double *operation_ns = calloc(count ? count : 1, sizeof *operation_ns);
	struct engine engine = {
		.plan = plan,
		.subjects = subjects,
		.series = series,
		.operation_ns = operation_ns,
		.count = count,
	};
	int status = STATUS_OK;

	memset(series, 0, count * sizeof *series);
	if (!operation_ns)
		return error_os(err, ENOMEM, "cannot measure");
	engine.clock_ns = clock_cost(&engine);
	for (size_t i = 0; !status && i < count; i++) {
		series[i].run_sizes = calloc(plan->runs, sizeof *series[i].run_sizes);
		if (!series[i].run_sizes)
			return error_os(err, ENOMEM, "cannot measure");
		status = calibrate(&engine, i, err);
	}
	for (unsigned run = 0; !status && run < plan->warmup + plan->runs; run++)
		for (size_t i = 0; !status && i < count; i++)
			status = run_once(&engine, i, run >= plan->warmup, err);
	return status;
}

void bench_series_release(struct bench_series *series)
{
	free(series->samples);
	free(series->run_sizes);
	*series = (struct bench_series){0};
}

/* The median of each run; NULL if there is no memory. */
static double *run_medians(const struct bench_series *series)
{
	double *medians = calloc(series->runs ? series->runs : 1, sizeof *medians);
	const double *run = series->samples;

	for (unsigned i = 0; medians && i < series->runs; i++) {
		medians[i] = bench_median(run, series->run_sizes[i]);
		run += series->run_sizes[i];
	}
	return medians;
}

static double spread_of(double *medians, unsigned runs)
{
	double middle;

	qsort(medians, runs, sizeof *medians, compare_values);
	middle = bench_percentile(medians, runs, 50);
	return middle > 0 ? (bench_percentile(medians, runs, 75) -
				    bench_percentile(medians, runs, 25)) /
				    middle
			  : 0;
}

int bench_statistics(
	const struct bench_series *series, struct bench_statistics *ret, struct error *err)
{
	AUTO_FREE double *sorted = malloc((series->count + 1) * sizeof *sorted);
	AUTO_FREE double *medians = run_medians(series);
	struct bench_statistics statistics = {0};
	size_t count = series->count;

	if (!sorted || !medians)
		return error_os(err, ENOMEM, "cannot sort the samples");
	if (count) {
		memcpy(sorted, series->samples, count * sizeof *sorted);
		qsort(sorted, count, sizeof *sorted, compare_values);
		for (size_t i = 0; i < count; i++)
			statistics.mean += sorted[i] / (double)count;
		statistics.least = sorted[0];
		statistics.p50 = bench_percentile(sorted, count, 50);
		statistics.p90 = bench_percentile(sorted, count, 90);
		statistics.p99 = bench_percentile(sorted, count, 99);
		statistics.most = sorted[count - 1];
		statistics.spread = spread_of(medians, series->runs);
	}
	*ret = statistics;
	return STATUS_OK;
}

double bench_ratio(const struct bench_series *series, const struct bench_series *reference)
{
	AUTO_FREE double *above = run_medians(series), *below = run_medians(reference);
	unsigned runs = series->runs < reference->runs ? series->runs : reference->runs;
	double ratio;

	if (!above || !below || !runs)
		return 0;
	for (unsigned i = 0; i < runs; i++)
		above[i] = below[i] > 0 ? above[i] / below[i] : 0;
	ratio = bench_median(above, runs);
	return isnan(ratio) ? 0 : ratio;
}
