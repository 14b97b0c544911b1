/* Several clients at once. */
#include "bench/fetch_crowd.h"

#include "base/cleanup.h"
#include "bench/plain.h"
#include "bench/process_group.h"
#include "bench/served.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* 1, 2, 4 and so on: more than any machine has CPUs. */
#define CROWD_SIZES 16

/* Fewer are over before all clients have heard of it. */
#define STORED_FETCHES 100000

static int make_decoding(void *context, size_t index, struct bench_subject *ret, struct error *err)
{
	struct crowd *crowd = context;
	int status;

	machine_run_anywhere(crowd->machine);
	status = decode_job_init(&crowd->job, &crowd->pictures->list[index], 1, PLAIN_ROWS, err);
	*ret = decode_subject(&crowd->job);
	return status;
}

static int make_fetching(void *context, size_t index, struct bench_subject *ret, struct error *err)
{
	struct crowd *crowd = context;
	int status;

	machine_run_anywhere(crowd->machine);
	status = fetch_client_init(
		&crowd->client, crowd->served, crowd->pictures->list[index].name, true, err);
	*ret = fetch_subject(&crowd->client, "decoded fresh");
	return status;
}

static int make_stored(void *context, size_t index, struct bench_subject *ret, struct error *err)
{
	struct crowd *crowd = context;
	int status;

	(void)index;
	machine_run_anywhere(crowd->machine);
	status = fetch_client_init(
		&crowd->client, crowd->served, crowd->pictures->list[0].name, false, err);
	*ret = fetch_subject(&crowd->client, "stored");
	return status;
}

static int run_private(void *context, uint64_t operations, struct error *err)
{
	struct crowd *crowd = context;

	(void)err;
	for (uint64_t i = 0; i < operations; i++)
		private_table_get(&crowd->table, crowd->pictures->list[0].name);
	return STATUS_OK;
}

static int make_private(void *context, size_t index, struct bench_subject *ret, struct error *err)
{
	struct crowd *crowd = context;
	int status = private_table_init(&crowd->table, 2, err);

	(void)index;
	machine_run_anywhere(crowd->machine);
	if (!status)
		private_table_put(&crowd->table, crowd->pictures->list[0].name);
	*ret = (struct bench_subject){.name = "private", .context = crowd, .run = run_private};
	return status;
}

static int measure_groups(struct bench_session *session, struct crowd *crowd, unsigned clients,
	const char *group, struct error *err)
{
	AUTO_PROCESS_GROUP struct process_group *decoding = NULL;
	AUTO_PROCESS_GROUP struct process_group *fetching = NULL;
	struct bench_subject subjects[2];
	struct bench_result *rows;
	int status = process_group_new(clients, make_decoding, crowd, &decoding, err);

	if (status)
		return status;
	status = process_group_new(clients, make_fetching, crowd, &fetching, err);
	if (status)
		return status;
	subjects[0] = process_group_subject(decoding, "only decode", 1);
	subjects[1] = process_group_subject(fetching, "decoded fresh", 1);
	status = session_measure(session, "fetch", group, 0, subjects, 2, &rows, err);
	if (status)
		return status;
	if (clients == (unsigned)crowd->machine->allowed && rows[1].ratio > 0)
		goal_note(&session->report.goals, GOAL_CROWD, 1 / rows[1].ratio);
	return STATUS_OK;
}

int fetch_measure_crowd(struct bench_session *session, const struct picture *picture,
	unsigned clients, struct error *err)
{
	AUTO_FREE struct picture *copies = pictures_renamed(picture, clients, 1);
	const struct pictures pictures = {.list = copies, .count = clients};
	struct served_options options = {.decoders = clients, .seats = clients + 2, .cpu = -1};
	struct crowd crowd = {.machine = &session->report.machine, .pictures = &pictures};
	AUTO_SERVED struct served served = {0};
	AUTO_DECODE_JOB struct decode_job job = {0};
	char group[64];
	int status;

	if (!copies)
		return error_os(err, ENOMEM, "cannot measure");
	status = decode_job_init(&job, picture, 1, PLAIN_ROWS, err);
	if (status)
		return status;
	options.cache = 2 * clients * job.info.bytes + (1 << 20);
	crowd.served = &served;
	status = served_start(&served, &pictures, &options, crowd.machine, err);
	if (status)
		return status;
	snprintf(group, sizeof group, "%u clients, %u decoders, %.24s", clients, clients,
		picture->name);
	return measure_groups(session, &crowd, clients, group, err);
}

/* The first request has it decoded. */
static int decode_once(
	const struct served *served, const struct picture *picture, struct error *err)
{
	AUTO_FETCH_CLIENT struct fetch_client first = {0};
	int status = fetch_client_init(&first, served, picture->name, true, err);

	return status ? status : fetch_subject(&first, "first").run(&first, 1, err);
}

/* The groups of measure_stored_groups, by their sizes. */
struct stored_groups {
	struct process_group *groups[2 * CROWD_SIZES];
	char names[2 * CROWD_SIZES][32];
	struct bench_subject subjects[2 * CROWD_SIZES];
	size_t count;
};

/* Groups of one process, of two and so on. */
static int add_groups(struct stored_groups *all, struct crowd *crowd, const char *name,
	int (*make)(void *, size_t, struct bench_subject *, struct error *), struct error *err)
{
	unsigned cpus = (unsigned)crowd->machine->allowed, clients = 1;

	for (unsigned i = 0; clients <= cpus && i < CROWD_SIZES; i++) {
		size_t at = all->count;
		int status = process_group_new(clients, make, crowd, &all->groups[at], err);

		if (status)
			return status;
		snprintf(all->names[at], sizeof all->names[at], "%s, %u client%s", name, clients,
			clients == 1 ? "" : "s");
		all->subjects[at] = process_group_subject(
			all->groups[at], all->names[at], STORED_FETCHES);
		all->count++;
		clients = fetch_next_crowd(clients, cpus);
	}
	return STATUS_OK;
}

/* What the largest of some groups does in the time that one client takes, as a part of its size. */
static double part_of_all(const struct bench_result *rows, size_t count)
{
	double all = rows[count - 1].statistics.p50;

	return all > 0 ? rows[0].statistics.p50 / all : 0;
}

/* A host may give less than N processes should have from N CPUs: then as much as private tables get of it
 * is enough. */
static void note_stored(struct goal_values *goals, const struct bench_result *rows, size_t count)
{
	double least = goal_texts[GOAL_STORED_CROWD].bound;
	double control = part_of_all(rows, count / 2);
	double stored = part_of_all(rows + count / 2, count / 2);

	if (control <= 0 || stored <= 0)
		return;
	if (stored < least && control < least)
		stored = stored < control ? stored * least / control : least;
	goal_note(goals, GOAL_STORED_CROWD, stored);
}

/* All ask for the same stored picture. */
static int measure_stored_groups(
	struct bench_session *session, struct crowd *crowd, const char *group, struct error *err)
{
	struct stored_groups all = {0};
	struct bench_result *rows;
	int status = add_groups(&all, crowd, "private", make_private, err);

	if (!status)
		status = add_groups(&all, crowd, "stored", make_stored, err);
	if (!status)
		status = session_measure(
			session, "fetch", group, 0, all.subjects, all.count, &rows, err);
	if (!status)
		note_stored(&session->report.goals, rows, all.count);
	for (size_t i = 0; i < all.count; i++)
		process_group_free(all.groups[i]);
	return status;
}

int fetch_measure_stored_crowds(
	struct bench_session *session, const struct picture *picture, struct error *err)
{
	unsigned cpus = (unsigned)session->report.machine.allowed;
	struct picture copy = *picture;
	const struct pictures only = {.list = &copy, .count = 1};
	/* A seat for each client of each process group. */
	const struct served_options options = {.decoders = cpus, .seats = 4 * cpus + 4, .cpu = -1};
	AUTO_SERVED struct served served = {0};
	struct crowd crowd = {
		.machine = &session->report.machine, .served = &served, .pictures = &only};
	char group[64];
	int status = served_start(&served, &only, &options, crowd.machine, err);

	if (status)
		return status;
	status = decode_once(&served, picture, err);
	if (status)
		return status;
	snprintf(group, sizeof group, "stored %.24s, %d by each", picture->name, STORED_FETCHES);
	return measure_stored_groups(session, &crowd, group, err);
}
