#include "cli/bench_plan.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "bench/decode.h"
#include "bench/export.h"
#include "bench/watchdog.h"
#include "dynload/libjansson.h"
#include "dynload/libm.h"
#include "dynload/libsmartcols.h"

#include <string.h>

#define PAYLOAD_MAX (1ULL << 30)

/* For each thing measured, where the options say nothing; the short way is that of all parts. */
#define TIME_NS       (300 * NS_PER_MS)
#define RUNS          10
#define SIZES         "64,4K,64K,1M,8M"
#define QUICK_SIZES   "64,64K,8M"
#define QUICK_TIME_NS (50 * NS_PER_MS)
#define QUICK_RUNS    5

/* Calls `add` with each word of a list. */
static int each_word(const char *list, struct bench_work *work,
	int (*add)(struct bench_work *work, const char *word, struct error *err), struct error *err)
{
	AUTO_FREE char *copy = strdup(list);
	char *rest = copy, *word;

	if (!copy)
		return error_set(err, STATUS_TRY_AGAIN, "out of memory");
	while ((word = strsep(&rest, ","))) {
		int status = add(work, word, err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

static int add_size(struct bench_work *work, const char *word, struct error *err)
{
	uint64_t size;
	int status = parse_size(word, "--size", &size, err);

	if (status)
		return status;
	if (!size || size > PAYLOAD_MAX)
		return error_set(err, STATUS_USAGE, "--size: '%s' is not from 1 to 1G", word);
	if (work->size_count == BENCH_SIZES_MAX)
		return error_set(err, STATUS_USAGE, "--size: at most %d sizes", BENCH_SIZES_MAX);
	work->sizes[work->size_count++] = size;
	return STATUS_OK;
}

static int add_transport(
	struct bench_work *work, const struct transport *transport, struct error *err)
{
	for (size_t i = 0; i < work->chosen_count; i++)
		if (work->chosen[i] == transport)
			return STATUS_OK;
	if (work->chosen_count == BENCH_MECHANISMS_MAX)
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

static int choose_mechanisms(struct bench_work *work, struct error *err)
{
	/* The limit is always measured: it is what the others are compared with. */
	int status = add_transport(work, transports[0], err);

	if (status)
		return status;
	if (work->options->mechanisms)
		return each_word(work->options->mechanisms, work, add_mechanism, err);
	for (size_t i = 0; transports[i]; i++) {
		status = add_transport(work, transports[i], err);
		if (status)
			return status;
	}
	return STATUS_OK;
}

/* An option or a word that would change nothing is a mistake. */
static int check(const struct bench_options *options, const struct bench_part *part, char **words,
	size_t count, struct error *err)
{
	const char *unused = options->sizes ? "--size" : options->mechanisms ? "--mechanism" : NULL;

	if (unused && part && !part->sizes)
		return error_set(err, STATUS_USAGE,
			"%s is for 'transport', and means nothing to '%s'", unused, part->name);
	if (!options->time_ns)
		return error_set(err, STATUS_USAGE, "--time: more than 0");
	if (part && !part->pictures && count)
		return error_set(err, STATUS_USAGE, "unexpected argument '%s'", words[0]);
	return options->plot ? plot_possible(options->plot, err) : STATUS_OK;
}

/* How to measure: without a part, the short way. */
static void plan_runs(struct bench_work *work, bool quick)
{
	const struct bench_options *options = work->options;
	struct bench_plan *plan = &work->session.plan;
	struct bench_report *report = &work->session.report;

	plan->time_ns = options->time_ns;
	if (plan->time_ns == BENCH_NOT_GIVEN)
		plan->time_ns = quick ? QUICK_TIME_NS : TIME_NS;
	plan->runs = (unsigned)(options->runs ? options->runs : quick ? QUICK_RUNS : RUNS);
	plan->warmup = (unsigned)options->warmup;
	plan->stopped = watchdog_stopped;
	work->scales = quick ? 1 : DECODE_SCALES;
	report->time_ns = plan->time_ns;
	report->runs = plan->runs;
	report->warmup = plan->warmup;
}

/* What the report will want, before the time for it is spent. */
static int load_libraries(const struct bench_options *options, struct error *err)
{
	int status = libsmartcols_load(err);

	if (!status)
		status = libm_load(err);
	return status || !options->json ? status : libjansson_load(err);
}

int bench_plan_init(struct bench_work *work, const struct bench_options *options,
	const struct bench_part *part, char **words, size_t count, struct error *err)
{
	struct machine *machine = &work->session.report.machine;
	const char *sizes = options->sizes ? options->sizes : part ? SIZES : QUICK_SIZES;
	int status;

	*work = (struct bench_work){.options = options};
	plan_runs(work, !part);
	status = check(options, part, words, count, err);
	if (status)
		return status;
	status = load_libraries(options, err);
	if (status)
		return status;
	status = each_word(sizes, work, add_size, err);
	if (status)
		return status;
	status = choose_mechanisms(work, err);
	if (status)
		return status;
	machine_describe(machine);
	status = machine_pin(machine, options->pin, err);
	if (status || (part && !part->pictures))
		return status;
	return count ? pictures_load(words, count, &work->pictures, err)
		     : pictures_draw(&work->pictures, err);
}

void bench_plan_release(struct bench_work *work)
{
	report_release(&work->session.report);
	pictures_release(&work->pictures);
}
