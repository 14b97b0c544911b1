/*
 * What `bench` is to measure: the words and options of its command line, checked before anything is
 * measured.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"
#include "bench/transport.h"

#define BENCH_SIZES_MAX      16
#define BENCH_MECHANISMS_MAX 32

/* bench_options.time_ns, where no time was given. */
#define BENCH_NOT_GIVEN UINT64_MAX

struct bench_options {
	const char *sizes, *mechanisms, *pin;
	uint64_t time_ns, runs, warmup;
	const char *json, *csv, *markdown, *plot;
	bool list;
};

struct bench_work {
	const struct bench_options *options;
	struct bench_session session;
	uint64_t sizes[BENCH_SIZES_MAX];
	size_t size_count;
	const struct transport *chosen[BENCH_MECHANISMS_MAX];
	size_t chosen_count;
	struct pictures pictures;
	size_t scales; /* to decode at */
};

/* One of the things that are measured. */
struct bench_part {
	const char *name;
	bool sizes;    /* takes --size and --mechanism */
	bool pictures; /* takes files */
	bool alone;    /* not measured without its word */
	/* How many groups of rows it has. */
	size_t (*groups)(const struct bench_work *work);
	int (*measure)(struct bench_work *work, struct error *err);
};

/* For one part, or, where that is NULL, for all that are not alone, in a short way. To be released
 * also after an error. */
int bench_plan_init(struct bench_work *work, const struct bench_options *options,
	const struct bench_part *part, char **words, size_t count, struct error *err);
void bench_plan_release(struct bench_work *work);

#define AUTO_BENCH_WORK __attribute__((cleanup(bench_plan_release)))
