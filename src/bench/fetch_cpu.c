#include "bench/fetch_cpu.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "bench/served.h"
#include "bench/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Pairs of a run: enough that what the clocks of other processes leave out for a moment does not
 * count. */
#define PAIRS 20

/* A program that has no server: it reads the file into memory that it has, and decodes it. */
struct alone {
	struct picture file;
	struct decode_job job;
	char path[512];
};

/* CPU time, in ns. */
struct spent {
	uint64_t alone;
	uint64_t client;
};

static int decode_alone(struct alone *alone, struct error *err)
{
	const struct bench_subject decode = decode_subject(&alone->job);
	AUTO_CLOSE int fd = open(alone->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read_full(fd, alone->file.data, alone->file.size) < 0)
		return error_os(err, errno, "cannot read '%s'", alone->path);
	return decode.run(decode.context, 1, err);
}

/* One beside the other, so that both find the caches as the other has left them. */
static int measure_pair(
	struct fetch_client *client, struct alone *alone, struct spent *spent, struct error *err)
{
	const struct bench_subject fetch = fetch_subject(client, "");
	int status = fetch.before(fetch.context, err);
	uint64_t start = served_process_time(getpid()), middle;

	if (!status)
		status = decode_alone(alone, err);
	middle = served_process_time(getpid());
	if (!status)
		status = fetch.run(fetch.context, 1, err);
	spent->alone += middle - start;
	spent->client += served_process_time(getpid()) - middle;
	return status;
}

/* How much more all sides of a fetch need than the program alone, in ns. */
static int measure_run(
	struct fetch_client *client, struct alone *alone, double *ret, struct error *err)
{
	uint64_t before = served_cpu_time(client->served);
	struct spent spent = {0};
	int status = STATUS_OK;

	for (int i = 0; !status && i < PAIRS; i++)
		status = measure_pair(client, alone, &spent, err);
	if (status)
		return status;
	spent.client += served_cpu_time(client->served) - before;
	*ret = ((double)spent.client - (double)spent.alone) / PAIRS;
	return watchdog_stopped() ? error_set(err, STATUS_UNAVAILABLE, "interrupted") : STATUS_OK;
}

int fetch_measure_cpu(struct bench_session *session, struct fetch_client *client,
	struct decode_job *job, struct error *err)
{
	unsigned runs = session->plan.runs;
	AUTO_FREE double *more = calloc(runs, sizeof *more);
	AUTO_FREE uint8_t *room = malloc(job->picture->size);
	struct alone alone = {.file = *job->picture, .job = *job};

	if (!more || !room)
		return error_os(err, ENOMEM, "cannot measure");
	alone.file.data = room;
	alone.job.picture = &alone.file;
	snprintf(alone.path, sizeof alone.path, "%s/%s", client->served->folder, client->name);
	for (unsigned i = 0; i < runs; i++) {
		int status = measure_run(client, &alone, &more[i], err);

		if (status)
			return status;
	}
	goal_note(&session->report.goals, GOAL_FRESH_CPU, bench_median(more, runs) / NS_PER_MS);
	return STATUS_OK;
}
