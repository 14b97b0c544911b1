#include "bench/fetch_scale.h"

#include "base/cleanup.h"
#include "bench/fetch_client.h"
#include "bench/program.h"
#include "bench/served.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FEW_SEATS  16
#define MANY_SEATS 1024
#define FOLDERS    1000
#define NAMES      10000
#define DIGITS     8

/* A small server and a large one, each with a client that pings and one that misses. */
struct pair {
	struct served served[2];
	struct fetch_client pinging[2], missing[2];
};

static void pair_release(struct pair *pair)
{
	for (size_t i = 0; i < 2; i++) {
		fetch_client_release(&pair->pinging[i]);
		fetch_client_release(&pair->missing[i]);
		served_stop(&pair->served[i]);
	}
}

#define AUTO_PAIR __attribute__((cleanup(pair_release)))

static int pair_start(struct pair *pair, const struct pictures *pictures, const unsigned seats[2],
	const struct machine *machine, struct error *err)
{
	const char *name = pictures->list[0].name;
	int status = STATUS_OK;

	for (size_t i = 0; i < 2; i++) {
		/* Pinned: whether both sides are on one CPU, and cannot spin, is not to be chance. */
		const struct served_options options = {
			.decoders = 1, .seats = seats[i], .cpu = machine->responder_cpu};

		status = served_start(&pair->served[i], pictures, &options, machine, err);
		if (status)
			return status;
		status = fetch_client_init(&pair->pinging[i], &pair->served[i], name, false, err);
		if (status)
			return status;
		status = fetch_client_init(&pair->missing[i], &pair->served[i], name, true, err);
		if (status)
			return status;
	}
	return STATUS_OK;
}

/* The large one beside the small one. */
static int measure(struct bench_session *session, const char *group, struct bench_subject small,
	struct bench_subject large, enum goal goal, struct error *err)
{
	const struct bench_subject subjects[] = {small, large};
	struct bench_result *rows;
	int status = session_measure(session, "fetch", group, 0, subjects, 2, &rows, err);

	if (!status)
		goal_note(&session->report.goals, goal, rows[1].ratio);
	return status;
}

static int measure_seats(
	struct bench_session *session, const struct pictures *dot, struct error *err)
{
	static const unsigned seats[2] = {FEW_SEATS, MANY_SEATS};
	AUTO_PAIR struct pair pair = {0};
	struct bench_subject pings[2];
	int status = pair_start(&pair, dot, seats, &session->report.machine, err);

	if (status)
		return status;
	for (size_t i = 0; i < 2; i++) {
		pings[i] = ping_subject(&pair.pinging[i]);
		pings[i].name = i ? "1024 seats" : "16 seats";
	}
	status = measure(session, "empty request, many seats", pings[0], pings[1], GOAL_SEATS, err);
	if (status)
		return status;
	return measure(session, "miss, many seats", fetch_subject(&pair.missing[0], pings[0].name),
		fetch_subject(&pair.missing[1], pings[1].name), GOAL_SEATS, err);
}

/* Makes folders with the picture in each, and has the server store them all. */
static int fill_folders(
	const struct served *served, const char *name, struct shmsem *client, struct error *err)
{
	char path[512], picture[512], inside[128];

	snprintf(picture, sizeof picture, "%s/%s", served->folder, name);
	for (unsigned i = 0; i < FOLDERS; i++) {
		int status;

		snprintf(inside, sizeof inside, "f%u/%.64s", i, name);
		snprintf(path, sizeof path, "%s/f%u", served->folder, i);
		if (mkdir(path, 0700))
			return error_os(err, errno, "cannot make '%s'", path);
		snprintf(path, sizeof path, "%s/%s", served->folder, inside);
		if (link(picture, path))
			return error_os(err, errno, "cannot make '%s'", path);
		status = served_get(client, inside, err);
		if (status)
			return status;
	}
	return STATUS_OK;
}

static int measure_folders(
	struct bench_session *session, const struct pictures *dot, struct error *err)
{
	static const unsigned seats[2] = {FEW_SEATS, FEW_SEATS};
	const char *name = dot->list[0].name;
	AUTO_PAIR struct pair pair = {0};
	int status = pair_start(&pair, dot, seats, &session->report.machine, err);

	if (status)
		return status;
	status = fill_folders(&pair.served[1], name, pair.pinging[1].client, err);
	if (status)
		return status;
	return measure(session, "miss, many folders", fetch_subject(&pair.missing[0], "one folder"),
		fetch_subject(&pair.missing[1], "1000 folders in use"), GOAL_FOLDERS, err);
}

static int count_name(void *data, const char *name)
{
	(void)name;
	++*(unsigned *)data;
	return 0;
}

static int run_list(void *context, uint64_t operations, struct error *err)
{
	struct fetch_client *client = context;
	struct shmsem_error error;

	for (uint64_t i = 0; i < operations; i++) {
		unsigned count = 0;

		if (shmsem_names(client->client, count_name, &count, &error))
			return served_error(&error, err);
		if (count != NAMES)
			return error_set(err, STATUS_INTERNAL, "%u names of %d", count, NAMES);
	}
	return STATUS_OK;
}

/* So that the server makes its list anew. */
static int change_folder(void *context, struct error *err)
{
	const struct fetch_client *client = context;
	char path[512];

	snprintf(path, sizeof path, "%s/new", client->served->folder);
	if (mkdir(path, 0700) || rmdir(path))
		return error_os(err, errno, "cannot make '%s'", path);
	return STATUS_OK;
}

static int measure_names(
	struct bench_session *session, const struct picture *dot, struct error *err)
{
	AUTO_FREE struct picture *list = pictures_renamed(dot, NAMES, DIGITS);
	const struct pictures pictures = {.list = list, .count = NAMES};
	const struct served_options options = {.decoders = 1, .seats = FEW_SEATS, .cpu = -1};
	AUTO_SERVED struct served served = {0};
	AUTO_FETCH_CLIENT struct fetch_client client = {0};
	struct program find = {"/usr/bin/find", {"find", served.folder, NULL}};
	int status;

	if (!list)
		return error_os(err, ENOMEM, "cannot measure");
	status = served_start(&served, &pictures, &options, &session->report.machine, err);
	if (status)
		return status;
	status = fetch_client_init(&client, &served, "", false, err);
	if (status)
		return status;
	return measure(session, "10000 names, made anew", program_subject(&find, "find(1)"),
		(struct bench_subject){.name = "list of names",
			.context = &client,
			.run = run_list,
			.before = change_folder},
		GOAL_NAMES, err);
}

int fetch_measure_scale(struct bench_session *session, struct error *err)
{
	AUTO_PICTURES struct pictures dot = {0};
	int status = pictures_draw_dot(&dot, err);

	if (status)
		return status;
	status = measure_seats(session, &dot, err);
	if (status)
		return status;
	status = measure_folders(session, &dot, err);
	return status ? status : measure_names(session, dot.list, err);
}
