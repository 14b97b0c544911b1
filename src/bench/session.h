/*
 * One run of bench: how it measures, and the report that everything measured goes into.
 */
#pragma once

#include "bench/engine.h"
#include "bench/report.h"

struct bench_session {
	struct bench_plan plan; /* progress is set by session_measure */
	struct bench_report report;
	/* What is being measured now, and how many groups there are to measure. */
	const char *part;
	char group[64];
	size_t groups, groups_done;
	/* Told after every run, may be NULL: 0 to 1 of all groups is done. */
	void (*progress)(const struct bench_session *session, double share);
};

/*
 * Measures subjects in turn, the first being the limit, and adds a row for each; `bytes` are what
 * one operation hands over. *ret_rows (may be NULL) are these rows, valid until the next are added.
 */
int session_measure(struct bench_session *session, const char *part, const char *group,
	uint64_t bytes, const struct bench_subject *subjects, size_t count,
	struct bench_result **ret_rows, struct error *err);
