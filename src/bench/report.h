/*
 * What was measured, kept together with what it was measured on, and written for people.
 */
#pragma once

#include "base/error.h"
#include "bench/engine.h"
#include "bench/goals.h"
#include "bench/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One row: a thing measured. Rows of a group were measured in turn and belong into one table. */
struct bench_result {
	char part[16];  /* "transport" */
	char group[64]; /* "64K" */
	char name[64];  /* "unix-socket" */
	char note[64];  /* what the reader must know of it, or empty */
	uint64_t bytes; /* handed over; 0 if that means nothing */
	struct bench_series series;
	struct bench_statistics statistics;
	double ratio; /* to the limit of its group, which has 1; 0: it has none */
	bool limit;   /* it is the limit */
};

struct bench_report {
	struct machine machine;
	uint64_t time_ns; /* asked for, each */
	unsigned runs, warmup;
	struct bench_result *results;
	size_t count;
	struct goal_values goals;
};

void report_release(struct bench_report *report);

/* Adds a row, with its name, note and so on still empty. NULL if there is no memory. */
struct bench_result *report_add(struct bench_report *report, const char *part, const char *group);

/*
 * Hands the series (measured in turn, the first being the limit) of the last `count` rows over, and
 * works out their statistics and ratios.
 */
int report_finish_group(
	struct bench_report *report, struct bench_series *series, size_t count, struct error *err);

/* Machine, tables and warnings. `bars`: with a bar in each row. */
int report_print(const struct bench_report *report, FILE *file, bool bars, struct error *err);

/* The `index`-th warning, of the machine or of what was measured; NULL: no more. The text is valid
 * until the next call. */
const char *report_warning(const struct bench_report *report, size_t index);

/* One line each: machine, and how it was measured. */
#define REPORT_LINE_SIZE 400
const char *report_machine(const struct bench_report *report, char text[REPORT_LINE_SIZE]);
const char *report_method(const struct bench_report *report, char text[REPORT_LINE_SIZE]);

/* Three digits and a unit: "240ns", "9.83us", "12.4us", "3.04ms". */
#define REPORT_CELL_SIZE 32
const char *report_time(double ns, char text[REPORT_CELL_SIZE]);
/* What was measured for a goal, with its unit; empty if it was not. */
const char *report_goal(
	const struct bench_report *report, enum goal goal, char text[REPORT_CELL_SIZE]);
/* "1.00 x", "12.4 x", "310 x"; empty for 0. */
const char *report_ratio(double ratio, char text[REPORT_CELL_SIZE]);
