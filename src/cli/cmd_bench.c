/* shmsem bench: measures the hand-off beside every other mechanism of the system. */
#include "cli/commands.h"

#include "base/cleanup.h"

#include "base/clock.h"
#include "base/number.h"
#include "bench/decode.h"
#include "bench/export.h"
#include "bench/fetch.h"
#include "bench/python.h"
#include "bench/resizing.h"
#include "bench/session.h"
#include "bench/temporary.h"
#include "bench/transport.h"
#include "bench/watchdog.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZES_MAX      16
#define PAYLOAD_MAX    (1ULL << 30)
#define MECHANISMS_MAX 32

#define NOT_GIVEN UINT64_MAX

/* For each thing measured, where the options say nothing; the short way is that of all parts. */
#define TIME_NS       (300 * NS_PER_MS)
#define RUNS          10
#define SIZES         "64,4K,64K,1M,8M"
#define QUICK_SIZES   "64,64K,8M"
#define QUICK_TIME_NS (50 * NS_PER_MS)
#define QUICK_RUNS    5

/* It shows how far it is once it has taken this long. */
#define PROGRESS_AFTER_NS NS_PER_SECOND

struct bench_options {
	const char *sizes, *mechanisms, *pin;
	uint64_t time_ns, runs, warmup;
	const char *json, *csv, *markdown, *plot;
	bool list;
};

static const struct bench_options defaults = {
	.time_ns = NOT_GIVEN,
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

/* What the words and options come to. */
struct bench_work {
	const struct bench_options *options;
	struct bench_session session;
	uint64_t sizes[SIZES_MAX];
	size_t size_count;
	const struct transport *chosen[MECHANISMS_MAX];
	size_t chosen_count;
	struct pictures pictures;
	size_t scales; /* to decode at */
};

static uint64_t began;
static bool progress_shown;

struct part;

/* Calls `add` with each word of a list. */
static int each_word(const char *list, struct bench_work *work,
	int (*add)(struct bench_work *work, const char *word, struct error *err), struct error *err)
{
	char *copy = strdup(list), *rest = copy, *word;
	int status = copy ? STATUS_OK : error_set(err, STATUS_TRY_AGAIN, "out of memory");

	while (!status && (word = strsep(&rest, ",")))
		status = add(work, word, err);
	free(copy);
	return status;
}

static int add_size(struct bench_work *work, const char *word, struct error *err)
{
	uint64_t size;
	int status = parse_size(word, "--size", &size, err);

	if (status)
		return status;
	if (!size || size > PAYLOAD_MAX)
		return error_set(err, STATUS_USAGE, "--size: '%s' is not from 1 to 1G", word);
	if (work->size_count == SIZES_MAX)
		return error_set(err, STATUS_USAGE, "--size: at most %d sizes", SIZES_MAX);
	work->sizes[work->size_count++] = size;
	return STATUS_OK;
}

static int add_transport(
	struct bench_work *work, const struct transport *transport, struct error *err)
{
	for (size_t i = 0; i < work->chosen_count; i++)
		if (work->chosen[i] == transport)
			return STATUS_OK;
	if (work->chosen_count == MECHANISMS_MAX)
		return error_set(err, STATUS_INTERNAL, "there are more mechanisms than expected");
	work->chosen[work->chosen_count++] = transport;
	return STATUS_OK;
}

static int add_mechanism(struct bench_work *work, const char *word, struct error *err)
{
	const struct transport *transport = transport_find(word);

	if (!transport)
		return error_set(err, STATUS_USAGE,
			"--mechanism: there is no '%s'; 'shmsem bench --list' names them", word);
	return add_transport(work, transport, err);
}

static int choose_mechanisms(struct bench_work *work, const struct part *part, struct error *err)
{
	const struct bench_options *options = work->options;
	const char *sizes = options->sizes ? options->sizes : part ? SIZES : QUICK_SIZES;
	int status = each_word(sizes, work, add_size, err);

	/* The limit is always measured: it is what the others are compared with. */
	if (!status)
		status = add_transport(work, transports[0], err);
	if (!status && options->mechanisms)
		status = each_word(options->mechanisms, work, add_mechanism, err);
	for (size_t i = 0; !status && !options->mechanisms && transports[i]; i++)
		status = add_transport(work, transports[i], err);
	return status;
}

static int choose_pictures(struct bench_work *work, int argc, char **argv, struct error *err)
{
	return argc ? pictures_load(argv, (size_t)argc, &work->pictures, err)
		    : pictures_draw(&work->pictures, err);
}

static void show_progress(const struct bench_session *session, double share)
{
	if (clock_now() - began < PROGRESS_AFTER_NS)
		return;
	fprintf(stderr, "\r%3.0f %%  %s, %s\033[K", share * 100, session->part, session->group);
	progress_shown = true;
}

static int measure_transport(struct bench_work *work, struct error *err)
{
	int status = STATUS_OK;

	for (size_t i = 0; !status && i < work->size_count; i++)
		status = transport_measure(
			&work->session, work->chosen, work->chosen_count, work->sizes[i], err);
	return status;
}

static int measure_decode(struct bench_work *work, struct error *err)
{
	int status = decode_measure(&work->session, &work->pictures, work->scales, err);

	return status ? status : resizing_measure(&work->session, &work->pictures, err);
}

static int measure_fetch(struct bench_work *work, struct error *err)
{
	return fetch_measure(&work->session, &work->pictures, err);
}

static int measure_python(struct bench_work *work, struct error *err)
{
	return python_measure(&work->session, &work->pictures, err);
}

static const struct part {
	const char *name;
	bool pictures; /* takes them */
	bool alone;    /* not measured without its word */
	int (*measure)(struct bench_work *work, struct error *err);
} parts[] = {
	{"transport", false, false, measure_transport},
	{"decode", true, false, measure_decode},
	{"fetch", true, false, measure_fetch},
	{"python", true, true, measure_python},
};
#define PARTS (sizeof parts / sizeof *parts)

/* An option that would change nothing is a mistake. */
static int check_options(
	const struct bench_options *options, const struct part *part, struct error *err)
{
	const char *unused = options->sizes ? "--size" : options->mechanisms ? "--mechanism" : NULL;

	if (unused && part && part->measure != measure_transport)
		return error_set(err, STATUS_USAGE,
			"%s is for 'transport', and means nothing to '%s'", unused, part->name);
	return STATUS_OK;
}

/* Everything is checked before anything is measured. */
static int plan_work(
	struct bench_work *work, const struct part *part, int argc, char **argv, struct error *err)
{
	const struct bench_options *options = work->options;
	int status = check_options(options, part, err);

	if (!status)
		status = choose_mechanisms(work, part, err);
	if (!status && !options->time_ns)
		status = error_set(err, STATUS_USAGE, "--time: more than 0");
	if (!status && part && !part->pictures && argc)
		status = error_set(err, STATUS_USAGE, "'%s' is one word too many", argv[0]);
	if (!status && options->plot)
		status = plot_possible(options->plot, err);
	machine_describe(&work->session.report.machine);
	if (!status)
		status = machine_pin(&work->session.report.machine, options->pin, err);
	if (!status && (!part || part->pictures))
		status = choose_pictures(work, argc, argv, err);
	if (!part || part->measure == measure_transport)
		work->session.groups += work->size_count;
	if (!part || part->measure == measure_decode)
		work->session.groups += work->pictures.count * work->scales + RESIZING_GROUPS;
	if (!part || part->measure == measure_fetch)
		work->session.groups += fetch_groups(&work->session, &work->pictures);
	if (part && part->measure == measure_python)
		work->session.groups += PYTHON_GROUPS;
	return status;
}

/* One part, or all of them if `part` is NULL. */
static int measure_parts(struct bench_work *work, const struct part *part, struct error *err)
{
	struct machine *machine = &work->session.report.machine;
	int status = watchdog_begin(err);

	if (!status)
		status = machine_run_on(machine->requester_cpu, err);
	temporary_remove_stale();
	began = clock_now();
	if (isatty(STDERR_FILENO))
		work->session.progress = show_progress;
	for (size_t i = 0; !status && i < PARTS; i++)
		if (part ? part == &parts[i] : !parts[i].alone)
			status = parts[i].measure(work, err);
	if (progress_shown)
		fputs("\r\033[K", stderr);
	machine_run_anywhere(machine);
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
	int status = STATUS_OK;

	for (int kind = EXPORT_JSON; !status && kind <= EXPORT_MARKDOWN; kind++) {
		if (!paths[kind])
			continue;
		taken |= !strcmp(paths[kind], "-");
		status = export_report(
			&work->session.report, (enum export_kind)kind, paths[kind], err);
	}
	if (!status && options->plot)
		status = plot_report(&work->session.report, options->plot, err);
	return status || taken
		       ? status
		       : report_print(&work->session.report, stdout, isatty(STDOUT_FILENO), err);
}

/* Ends as the signal would have ended us, now that everything is removed. */
static void end_by_signal(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

static const struct part *find_part(const char *name)
{
	for (size_t i = 0; i < PARTS; i++)
		if (!strcmp(parts[i].name, name))
			return &parts[i];
	return NULL;
}

/* How to measure: without a part, the short way. */
static void plan_runs(struct bench_work *work, const struct part *part)
{
	const struct bench_options *options = work->options;
	struct bench_plan *plan = &work->session.plan;
	struct bench_report *report = &work->session.report;

	plan->time_ns = options->time_ns;
	if (plan->time_ns == NOT_GIVEN)
		plan->time_ns = part ? TIME_NS : QUICK_TIME_NS;
	plan->runs = (unsigned)(options->runs ? options->runs : part ? RUNS : QUICK_RUNS);
	plan->warmup = (unsigned)options->warmup;
	plan->stopped = watchdog_stopped;
	work->scales = part ? DECODE_SCALES : 1;
	report->time_ns = plan->time_ns;
	report->runs = plan->runs;
	report->warmup = plan->warmup;
}

static int run(const void *options_given, int argc, char **argv, struct error *err)
{
	struct bench_work work = {.options = options_given};
	const struct part *part = argc ? find_part(argv[0]) : NULL;
	int status;

	if (argc && !part)
		return error_set(
			err, STATUS_USAGE, "there is nothing to measure called '%s'", argv[0]);
	if (work.options->list && argc)
		return error_set(err, STATUS_USAGE, "--list stands alone");
	if (work.options->list) {
		for (size_t i = 0; transports[i]; i++)
			printf("%-18s %s\n", transports[i]->name, transports[i]->summary);
		return STATUS_OK;
	}
	plan_runs(&work, part);
	status = plan_work(&work, part, argc ? argc - 1 : 0, argv + 1, err);
	if (!status)
		status = measure_parts(&work, part, err);
	if (!status)
		status = write_results(&work, err);
	report_release(&work.session.report);
	pictures_release(&work.pictures);
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
		   "images is drawn\nif none are given. Ratios are to the limit, the first row of "
		   "each table.",
	.options = rows,
	.options_size = sizeof(struct bench_options),
	.defaults = &defaults,
	.run = run,
};
