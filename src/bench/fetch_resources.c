/* What a whole process, seats, memory and an idle server cost. */
#include "bench/fetch_resources.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/decode.h"
#include "bench/fetch_crowd.h"
#include "bench/plain.h"
#include "bench/process_group.h"
#include "bench/program.h"
#include "bench/served.h"
#include "bench/watchdog.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define CROWDED_CLIENTS 64
#define CROWDED_SEATS   8
#define VISIT_NS        NS_PER_MS
#define HOLDERS         8
#define SETTLE_NS       (2 * NS_PER_SECOND)
#define IDLE_NS         (4 * NS_PER_SECOND) /* what it does at its slowest comes twice then */

/* Connects, which waits for a seat, fetches, and leaves after a moment: were a visit over at once, most
 * clients would find a free seat, and who waits longest would be the scheduler's choice. */
static int visit_once(const struct crowd *crowd, struct error *err)
{
	const struct timespec moment = clock_timespec(VISIT_NS);
	struct shmsem *client;
	int status = served_connect(crowd->served, &client, err);

	if (status)
		return status;
	status = served_get(client, crowd->pictures->list[0].name, err);
	nanosleep(&moment, NULL);
	shmsem_close(client);
	return status;
}

static int visit(void *context, uint64_t operations, struct error *err)
{
	for (uint64_t i = 0; i < operations; i++) {
		int status = visit_once(context, err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

static int make_visiting(void *context, size_t index, struct bench_subject *ret, struct error *err)
{
	struct crowd *crowd = context;

	(void)index;
	(void)err;
	machine_run_anywhere(crowd->machine);
	*ret = (struct bench_subject){.name = "visit", .context = crowd, .run = visit};
	return STATUS_OK;
}

/* Every visit of every client is a sample. */
static int take_visits(struct bench_session *session, struct process_group *process_group,
	struct bench_series *series, struct error *err)
{
	unsigned runs = session->plan.runs;
	int status;

	*series = (struct bench_series){
		.samples = calloc((size_t)(runs + 1) * CROWDED_CLIENTS, sizeof *series->samples),
		.run_sizes = calloc(runs, sizeof *series->run_sizes),
		.batch = 1};
	if (!series->samples || !series->run_sizes)
		return error_os(err, ENOMEM, "cannot measure");
	status = process_group_run_once(process_group, series->samples, err);
	while (!status && series->runs < runs) {
		status = process_group_run_once(
			process_group, series->samples + series->count, err);
		series->run_sizes[series->runs++] = CROWDED_CLIENTS;
		series->count += CROWDED_CLIENTS;
	}
	return status;
}

static int time_visits(struct bench_session *session, struct crowd *crowd,
	struct bench_series *series, struct error *err)
{
	AUTO_PROCESS_GROUP struct process_group *process_group = NULL;
	int status = process_group_new(CROWDED_CLIENTS, make_visiting, crowd, &process_group, err);

	return status ? status : take_visits(session, process_group, series, err);
}

static int add_visits(struct bench_session *session, struct bench_series *series, struct error *err)
{
	struct bench_result *row = report_add(&session->report, "fetch", "64 clients on 8 seats");
	int status;

	if (!row)
		return error_os(err, ENOMEM, "cannot keep the results");
	snprintf(row->name, sizeof row->name, "connect, fetch, 1 ms");
	status = report_finish_group(&session->report, series, 1, err);
	if (status)
		return status;
	if (row->statistics.p50 > 0)
		goal_note(&session->report.goals, GOAL_FAIR,
			row->statistics.most / row->statistics.p50);
	return STATUS_OK;
}

static int measure_seats(struct bench_session *session, struct crowd *crowd, struct error *err)
{
	struct bench_series series = {0};
	int status = time_visits(session, crowd, &series, err);

	if (!status)
		status = add_visits(session, &series, err);
	bench_series_release(&series);
	session->groups_done++;
	return status;
}

static int make_holding(void *context, size_t index, struct bench_subject *ret, struct error *err)
{
	struct crowd *crowd = context;
	const struct picture *last = &crowd->pictures->list[crowd->pictures->count - 1];
	const struct shmsem_request request = {.name = last->name};
	struct shmsem_error error;
	struct shmsem *client;
	int status = served_connect(crowd->served, &client, err);

	(void)index;
	*ret = (struct bench_subject){.name = "hold", .context = crowd, .run = visit};
	if (!status && shmsem_fetch(client, &request, &crowd->held, &error))
		status = served_error(&error, err);
	return status;
}

/* Clients that all hold the last picture: what the segments have then, for what it needs. */
static int measure_held(struct bench_session *session, struct crowd *crowd, struct error *err)
{
	const struct picture *last = &crowd->pictures->list[crowd->pictures->count - 1];
	uint64_t before = served_memory(crowd->served);
	AUTO_PROCESS_GROUP struct process_group *process_group = NULL;
	AUTO_DECODE_JOB struct decode_job job = {0};
	int status = decode_job_init(&job, last, 1, PLAIN_ROWS, err);

	if (status)
		return status;
	status = process_group_new(HOLDERS, make_holding, crowd, &process_group, err);
	if (status)
		return status;
	goal_note(&session->report.goals, GOAL_HELD,
		(double)(served_memory(crowd->served) - before) / (double)job.info.bytes);
	return STATUS_OK;
}

int fetch_do_nothing(uint64_t ns, struct error *err)
{
	const struct timespec turn = clock_timespec(10 * NS_PER_MS);
	uint64_t start = clock_now();

	while (clock_now() - start < ns) {
		if (watchdog_stopped())
			return error_set(err, STATUS_UNAVAILABLE, "interrupted");
		nanosleep(&turn, NULL);
	}
	return STATUS_OK;
}

/* It still spins now and then for a second after the last request: that is not idle yet. */
static int measure_idle(struct bench_session *session, struct crowd *crowd, struct error *err)
{
	int status = fetch_do_nothing(SETTLE_NS, err);
	uint64_t start = clock_now(), used = served_cpu_time(crowd->served);

	if (status)
		return status;
	status = fetch_do_nothing(IDLE_NS, err);
	if (status)
		return status;
	used = served_cpu_time(crowd->served) - used;
	goal_note(&session->report.goals, GOAL_IDLE,
		100 * (double)used / (double)(clock_now() - start));
	return STATUS_OK;
}

static int measure_process(struct bench_session *session, struct crowd *crowd, struct error *err)
{
	char space[sizeof crowd->served->space], name[64];
	struct program nothing = {"/bin/true", {"true", NULL}};
	struct program fetch = {"/proc/self/exe", {"shmsem", "fetch", "-N", space, name, NULL}};
	const struct bench_subject subjects[] = {
		program_subject(&nothing, "/bin/true"),
		program_subject(&fetch, "shmsem fetch"),
	};
	struct bench_result *rows;
	int status;

	snprintf(space, sizeof space, "%s", crowd->served->space);
	snprintf(name, sizeof name, "%s", crowd->pictures->list[0].name);
	status = session_measure(
		session, "fetch", "whole process, stored image", 0, subjects, 2, &rows, err);
	if (status)
		return status;
	goal_note(&session->report.goals, GOAL_PROCESS, rows[1].ratio);
	return STATUS_OK;
}

int fetch_measure_resources(
	struct bench_session *session, const struct pictures *pictures, struct error *err)
{
	static int (*const measures[])(struct bench_session *, struct crowd *, struct error *) = {
		measure_held, measure_process, measure_seats, measure_idle};
	const struct served_options options = {.decoders = 1, .seats = CROWDED_SEATS, .cpu = -1};
	AUTO_SERVED struct served served = {0};
	struct crowd crowd = {
		.machine = &session->report.machine, .served = &served, .pictures = pictures};
	int status = served_start(&served, pictures, &options, crowd.machine, err);

	for (size_t i = 0; !status && i < sizeof measures / sizeof *measures; i++)
		status = measures[i](session, &crowd, err);
	return status;
}
