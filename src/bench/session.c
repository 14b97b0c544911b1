#include "bench/session.h"

#include "base/cleanup.h"

#include <errno.h>

static void pass_progress(void *context, unsigned done, unsigned total)
{
	const struct bench_session *session = context;
	double groups = (double)(session->groups ? session->groups : 1);

	session->progress(session, ((double)done / total + (double)session->groups_done) / groups);
}

static int add_rows(struct bench_session *session, uint64_t bytes,
	const struct bench_subject *subjects, struct bench_series *series, size_t count,
	struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct bench_result *row = report_add(
			&session->report, session->part, session->group);

		if (!row)
			return error_os(err, ENOMEM, "cannot keep the results");
		snprintf(row->name, sizeof row->name, "%s", subjects[i].name);
		row->bytes = bytes;
	}
	return report_finish_group(&session->report, series, count, err);
}

static int measure_group(struct bench_session *session, uint64_t bytes,
	const struct bench_subject *subjects, struct bench_series *series, size_t count,
	struct error *err)
{
	int status = bench_measure(subjects, count, &session->plan, series, err);

	return status ? status : add_rows(session, bytes, subjects, series, count, err);
}

int session_measure(struct bench_session *session, const char *part, const char *group,
	uint64_t bytes, const struct bench_subject *subjects, size_t count,
	struct bench_result **ret_rows, struct error *err)
{
	AUTO_FREE struct bench_series *series = calloc(count, sizeof *series);
	int status;

	if (!series)
		return error_os(err, ENOMEM, "cannot measure");
	session->part = part;
	snprintf(session->group, sizeof session->group, "%s", group);
	session->plan.progress = session->progress ? pass_progress : NULL;
	session->plan.progress_context = session;
	status = measure_group(session, bytes, subjects, series, count, err);
	for (size_t i = 0; i < count; i++)
		bench_series_release(&series[i]);
	session->groups_done++;
	if (!status && ret_rows)
		*ret_rows = session->report.results + session->report.count - count;
	return status;
}
