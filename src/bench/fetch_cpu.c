#include "bench/fetch_cpu.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/served.h"
#include "bench/watchdog.h"

#include <errno.h>
#include <unistd.h>

/* Enough that what the clocks of other processes leave out for a moment does not count. */
#define OPERATIONS 20

static uint64_t cpu_time(const struct served *served)
{
	return served_process_time(getpid()) + served_cpu_time(served);
}

static int run_times(const struct bench_subject *subject, struct error *err)
{
	int status = STATUS_OK;

	for (int i = 0; !status && i < OPERATIONS; i++) {
		if (subject->before)
			status = subject->before(subject->context, err);
		if (!status)
			status = subject->run(subject->context, 1, err);
	}
	return status;
}

/* CPU time, in ns, of an operation; the server's counts for both. */
static int time_subject(const struct served *served, const struct bench_subject *subject,
	double *ret, struct error *err)
{
	uint64_t start = cpu_time(served);
	int status = run_times(subject, err);

	if (status)
		return status;
	*ret = (double)(cpu_time(served) - start) / OPERATIONS;
	return watchdog_stopped() ? error_set(err, STATUS_UNAVAILABLE, "interrupted") : STATUS_OK;
}

int fetch_measure_cpu(struct bench_session *session, struct fetch_client *client,
	struct decode_job *job, struct error *err)
{
	const struct bench_subject decode = decode_subject(job), fetch = fetch_subject(client, "");
	unsigned runs = session->plan.runs;
	AUTO_FREE double *more = calloc(runs, sizeof *more);

	if (!more)
		return error_os(err, ENOMEM, "cannot measure");
	for (unsigned i = 0; i < runs; i++) {
		double here, there;
		int status = time_subject(client->served, &decode, &here, err);

		if (!status)
			status = time_subject(client->served, &fetch, &there, err);
		if (status)
			return status;
		more[i] = there - here;
	}
	goal_note(&session->report.goals, GOAL_FRESH_CPU, bench_median(more, runs) / NS_PER_MS);
	return STATUS_OK;
}
