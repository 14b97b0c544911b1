/* shmsem bench: measures the hand-off beside every other mechanism of the system. */
#include "cli/bench_plan.h"
#include "cli/commands.h"

#include "base/clock.h"
#include "bench/decode.h"
#include "bench/export.h"
#include "bench/fetch.h"
#include "bench/python.h"
#include "bench/resizing.h"
#include "bench/temporary.h"
#include "bench/watchdog.h"
#include "cli/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* It shows how far it is once it has taken this long. */
#define PROGRESS_AFTER_NS NS_PER_SECOND

static const struct bench_options defaults = {
	.time_ns = BENCH_NOT_GIVEN,
	.warmup = 1,
};

#define OPTION_AT(field) .offset = offsetof(struct bench_options, field)

static const struct option_row rows[] = {
	{'s', "size", "LIST", "payload sizes [64,4K,64K,1M,8M]", OPTION_TEXT, OPTION_AT(sizes)},
	{'m', "mechanism", "LIST", "only these, of those that --list names", OPTION_TEXT,
		OPTION_AT(mechanisms)},
	{'t', "time", "SEC", "for each row [0.3]", OPTION_DURATION, OPTION_AT(time_ns)},
	{'r', "runs", "N", "share this time out to N runs, in turn with the others' [10]",
		OPTION_NUMBER, OPTION_AT(runs), .least = 1, .most = 1000},
	{'w', "warmup", "N", "runs before them that do not count [1]", OPTION_NUMBER,
		OPTION_AT(warmup), .most = 1000},
	{'p', "pin", "CPUS", "run the two sides on these, as in 0,1; or none [two cores]",
		OPTION_TEXT, OPTION_AT(pin)},
	{0, "export-json", "FILE", "write every sample; - is standard output", OPTION_TEXT,
		OPTION_AT(json)},
	{0, "export-csv", "FILE", "write a line for each row", OPTION_TEXT, OPTION_AT(csv)},
	{0, "export-markdown", "FILE", "write the tables", OPTION_TEXT, OPTION_AT(markdown)},
	{0, "plot", "FILE", "draw p50 as .svg or .png, with gnuplot", OPTION_TEXT, OPTION_AT(plot)},
	{0, "list", NULL, "name the mechanisms and exit", OPTION_FLAG, OPTION_AT(list)},
	{0},
};

static uint64_t began;
static bool progress_shown;

static void show_progress(const struct bench_session *session, double share)
{
	if (clock_now() - began < PROGRESS_AFTER_NS)
		return;
	terminal_line("%3.0f %%  %s, %s", share * 100, session->part, session->group);
	progress_shown = true;
}

static int measure_transport(struct bench_work *work, struct error *err)
{
	for (size_t i = 0; i < work->size_count; i++) {
		int status = transport_measure(
			&work->session, work->chosen, work->chosen_count, work->sizes[i], err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

static size_t groups_of_transport(const struct bench_work *work)
{
	return work->size_count;
}

static int measure_decode(struct bench_work *work, struct error *err)
{
	int status = decode_measure(&work->session, &work->pictures, work->scales, err);

	return status ? status : resizing_measure(&work->session, &work->pictures, err);
}

static size_t groups_of_decode(const struct bench_work *work)
{
	return work->pictures.count * work->scales + RESIZING_GROUPS;
}

static int measure_fetch(struct bench_work *work, struct error *err)
{
	return fetch_measure(&work->session, &work->pictures, err);
}

static size_t groups_of_fetch(const struct bench_work *work)
{
	return fetch_groups(&work->session, &work->pictures);
}

static int measure_python(struct bench_work *work, struct error *err)
{
	return python_measure(&work->session, &work->pictures, err);
}

static size_t groups_of_python(const struct bench_work *work)
{
	(void)work;
	return PYTHON_GROUPS;
}

static const struct bench_part parts[] = {
	{"transport", .sizes = true, .groups = groups_of_transport, .measure = measure_transport},
	{"decode", .pictures = true, .groups = groups_of_decode, .measure = measure_decode},
	{"fetch", .pictures = true, .groups = groups_of_fetch, .measure = measure_fetch},
	{"python", .pictures = true, .alone = true, .groups = groups_of_python,
		.measure = measure_python},
};
#define PARTS (sizeof parts / sizeof *parts)

static bool is_measured(const struct bench_part *each, const struct bench_part *chosen)
{
	return chosen ? each == chosen : !each->alone;
}

static int measure_each(struct bench_work *work, const struct bench_part *chosen, struct error *err)
{
	int status = machine_run_on(work->session.report.machine.requester_cpu, err);

	for (size_t i = 0; !status && i < PARTS; i++)
		if (is_measured(&parts[i], chosen))
			status = parts[i].measure(work, err);
	return status;
}

/* One part, or all of them if that is NULL. */
static int measure_parts(
	struct bench_work *work, const struct bench_part *chosen, struct error *err)
{
	int status = watchdog_begin(err);

	if (status)
		return status;
	for (size_t i = 0; i < PARTS; i++)
		if (is_measured(&parts[i], chosen))
			work->session.groups += parts[i].groups(work);
	temporary_remove_stale();
	began = clock_now();
	if (isatty(STDERR_FILENO))
		work->session.progress = show_progress;
	status = measure_each(work, chosen, err);
	if (progress_shown)
		terminal_line("%s", "");
	machine_run_anywhere(&work->session.report.machine);
	watchdog_end();
	return status;
}

static int write_results(const struct bench_work *work, struct error *err)
{
	const struct bench_options *options = work->options;
	const char *const paths[] = {
		[EXPORT_JSON] = options->json,
		[EXPORT_CSV] = options->csv,
		[EXPORT_MARKDOWN] = options->markdown,
	};
	bool taken = false; /* standard output, by an export */

	for (int kind = EXPORT_JSON; kind <= EXPORT_MARKDOWN; kind++) {
		int status;

		if (!paths[kind])
			continue;
		taken |= !strcmp(paths[kind], "-");
		status = export_report(
			&work->session.report, (enum export_kind)kind, paths[kind], err);
		if (status)
			return status;
	}
	if (options->plot) {
		int status = plot_report(&work->session.report, options->plot, err);

		if (status)
			return status;
	}
	if (taken)
		return STATUS_OK;
	return report_print(&work->session.report, stdout, isatty(STDOUT_FILENO), err);
}

/* Ends as the signal would have ended us, now that everything is removed. */
static void end_by_signal(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

static const struct bench_part *find_part(const char *name)
{
	for (size_t i = 0; i < PARTS; i++)
		if (!strcmp(parts[i].name, name))
			return &parts[i];
	return NULL;
}

static int measure(const struct bench_options *options, const struct bench_part *part, char **words,
	size_t count, struct error *err)
{
	AUTO_BENCH_WORK struct bench_work work = {0};
	int status = bench_plan_init(&work, options, part, words, count, err);

	if (status)
		return status;
	status = measure_parts(&work, part, err);
	return status ? status : write_results(&work, err);
}

static int run(const void *options_given, int argc, char **argv, struct error *err)
{
	const struct bench_options *options = options_given;
	const struct bench_part *part = argc ? find_part(argv[0]) : NULL;
	int status;

	if (argc && !part)
		return error_set(
			err, STATUS_USAGE, "there is nothing to measure called '%s'", argv[0]);
	if (options->list && argc)
		return error_set(err, STATUS_USAGE, "--list stands alone");
	if (options->list) {
		for (size_t i = 0; transports[i]; i++)
			printf("%-18s %s\n", transports[i]->name, transports[i]->summary);
		return STATUS_OK;
	}
	status = measure(options, part, argv + !!part, (size_t)(argc - !!part), err);
	if (status && watchdog_signal())
		end_by_signal(watchdog_signal());
	return status;
}

const struct command command_bench = {
	.name = "bench",
	.summary = "measure the hand-off beside every other mechanism of the system",
	.synopsis = "[OPTION…]\n[OPTION…] transport\n[OPTION…] fetch [FILE|DIR…]\n[OPTION…] decode "
		    "[FILE|DIR…]\n[OPTION…] python [FILE|DIR…]\n--list",
	.details = "transport: the round trip of a request and its payload over each mechanism.\n"
		   "fetch: a server and clients over images: empty requests, stored ones, fresh "
		   "ones.\n"
		   "decode: each image, at each scale, by each call.\n"
		   "python: a stored image by the package shmsem, in the python3 of $PATH.\n"
		   "Without a word: a short run of the first three, which ends with the goals. A "
		   "set of "
		   "images is drawn if none are given. Ratios are to the limit, the first row of "
		   "each table.",
	.options = rows,
	.words = "transport|fetch|decode|python",
	.options_size = sizeof(struct bench_options),
	.defaults = &defaults,
	.run = run,
};
