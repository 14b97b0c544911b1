/*
 * A report in files for programs: JSON with every sample, CSV and Markdown with the tables, and a
 * plot drawn by gnuplot.
 */
#pragma once

#include "bench/report.h"

enum export_kind {
	EXPORT_JSON,
	EXPORT_CSV,
	EXPORT_MARKDOWN,
};

/* Writes to `path`, beside and renamed; "-" is standard output. */
int export_report(const struct bench_report *report, enum export_kind kind, const char *path,
	struct error *err);

/* Whether plot_report can draw `path`: STATUS_USAGE for an ending other than .svg and .png,
 * STATUS_UNAVAILABLE without gnuplot. */
int plot_possible(const char *path, struct error *err);

/* Draws p50 of each name over the groups. */
int plot_report(const struct bench_report *report, const char *path, struct error *err);
