#include "bench/export.h"

#include "base/cleanup.h"
#include "dynload/libjansson.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Nanoseconds to a thousandth, which is more than a clock can tell. */
static json_t *json_ns(double ns)
{
	return json_real((double)(long long)(ns * 1000 + 0.5) / 1000);
}

static json_t *json_runs(const struct bench_series *series)
{
	json_t *runs = json_array();
	size_t at = 0;

	for (unsigned i = 0; i < series->runs; i++) {
		json_t *run = json_array();

		for (size_t k = 0; k < series->run_sizes[i]; k++)
			json_array_append_new(run, json_ns(series->samples[at++]));
		json_array_append_new(runs, run);
	}
	return runs;
}

static json_t *json_machine(const struct machine *machine)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:f, s:b, s:o, s:o, s:b}", "model", machine->model,
		"kernel", machine->kernel, "cpus", machine->cpus, "allowed", machine->allowed,
		"load", machine->load, "pinned", machine->requester_cpu >= 0, "requester_cpu",
		machine->requester_cpu >= 0 ? json_integer(machine->requester_cpu) : json_null(),
		"responder_cpu",
		machine->responder_cpu >= 0 ? json_integer(machine->responder_cpu) : json_null(),
		"shared_core", machine_shares_core(machine));
}

static json_t *json_result(const struct bench_result *row)
{
	const struct bench_statistics *of = &row->statistics;

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:I, s:b, s:o, s:I, s:{s:o, s:o, s:o, s:o, s:o, s:o}, "
		"s:f, s:o}",
		"part", row->part, "group", row->group, "name", row->name, "note", row->note,
		"bytes", (json_int_t)row->bytes, "limit", row->limit, "ratio",
		row->ratio > 0 ? json_real(row->ratio) : json_null(), "batch",
		(json_int_t)row->series.batch, "ns", "min", json_ns(of->least), "p50",
		json_ns(of->p50), "p90", json_ns(of->p90), "p99", json_ns(of->p99), "max",
		json_ns(of->most), "mean", json_ns(of->mean), "spread", of->spread, "runs",
		json_runs(&row->series));
}

static json_t *json_goals(const struct bench_report *report)
{
	json_t *goals = json_array();

	for (int goal = 0; goal < GOALS; goal++) {
		const struct goal_text *text = &goal_texts[goal];

		if (report->goals.known[goal])
			json_array_append_new(goals,
				json_pack("{s:s, s:s, s:f, s:b, s:f, s:s, s:b}", "goal", text->what,
					"limit", text->limit, "bound", text->bound, "at_least",
					text->at_least, "measured", report->goals.values[goal],
					"unit", text->unit, "reached",
					goal_reached(&report->goals, (enum goal)goal)));
	}
	return goals;
}

static int write_json(const struct bench_report *report, FILE *file, struct error *err)
{
	json_t *results = json_array(), *warnings = json_array(), *root;
	const char *warning;
	int failed;

	for (size_t i = 0; i < report->count; i++)
		json_array_append_new(results, json_result(&report->results[i]));
	for (size_t i = 0; (warning = report_warning(report, i)); i++)
		json_array_append_new(warnings, json_string(warning));
	root = json_pack("{s:o, s:{s:f, s:i, s:i}, s:o, s:o, s:o}", "machine",
		json_machine(&report->machine), "plan", "seconds", (double)report->time_ns / 1e9,
		"runs", (int)report->runs, "warmup", (int)report->warmup, "results", results,
		"goals", json_goals(report), "warnings", warnings);
	if (!root)
		return error_os(err, ENOMEM, "cannot make the JSON");
	failed = json_dumpf(root, file, JSON_COMPACT | JSON_REAL_PRECISION(12)) ||
		 fputc('\n', file) == EOF;
	json_decref(root);
	return failed ? error_os(err, errno ? errno : EIO, "cannot write the JSON") : STATUS_OK;
}

static void write_csv(const struct bench_report *report, FILE *file)
{
	fputs("part,group,name,bytes,limit,samples,batch,min_ns,p50_ns,p90_ns,p99_ns,max_ns,mean_"
	      "ns,spread,ratio,note\n",
		file);
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *row = &report->results[i];
		const struct bench_statistics *of = &row->statistics;

		fprintf(file,
			"%s,\"%s\",\"%s\",%llu,%d,%zu,%llu,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%.4f,%.4f,"
			"\"%s\"\n",
			row->part, row->group, row->name, (unsigned long long)row->bytes,
			row->limit, row->series.count, (unsigned long long)row->series.batch,
			of->least, of->p50, of->p90, of->p99, of->most, of->mean, of->spread,
			row->ratio, row->note);
	}
}

static void write_markdown_goals(const struct bench_report *report, FILE *file)
{
	char cell[REPORT_CELL_SIZE];

	fputs("\n### goals\n\n| goal | limit | measured | reached |\n| --- | --- | ---: | --- |\n",
		file);
	for (int goal = 0; goal < GOALS; goal++) {
		const struct goal_text *text = &goal_texts[goal];

		if (report->goals.known[goal])
			fprintf(file, "| %s | %s %s | %s | %s |\n", text->what,
				text->at_least ? "at least" : "at most", text->limit,
				report_goal(report, (enum goal)goal, cell),
				goal_reached(&report->goals, (enum goal)goal) ? "yes" : "no");
	}
}

static void write_markdown(const struct bench_report *report, FILE *file)
{
	char line[REPORT_LINE_SIZE], cells[4][REPORT_CELL_SIZE], ratio[REPORT_CELL_SIZE];
	const struct bench_result *last = NULL;
	const char *warning;

	fprintf(file, "%s.\n", report_machine(report, line));
	fprintf(file, "%s.\n", report_method(report, line));
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *row = &report->results[i];
		const struct bench_statistics *of = &row->statistics;

		if (!last || strcmp(last->part, row->part) || strcmp(last->group, row->group))
			fprintf(file,
				"\n### %s, %s\n\n"
				"| name | p50 | p90 | p99 | max | spread | x limit | note |\n"
				"| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
				row->part, row->group);
		last = row;
		fprintf(file, "| %s | %s | %s | %s | %s | %.1f %% | %s | %s |\n", row->name,
			report_time(of->p50, cells[0]), report_time(of->p90, cells[1]),
			report_time(of->p99, cells[2]), report_time(of->most, cells[3]),
			of->spread * 100, report_ratio(row->ratio, ratio), row->note);
	}
	if (goals_known(&report->goals))
		write_markdown_goals(report, file);
	for (size_t i = 0; (warning = report_warning(report, i)); i++)
		fprintf(file, "\nWarning: %s.\n", warning);
}

static int write_kind(
	const struct bench_report *report, enum export_kind kind, FILE *file, struct error *err)
{
	if (kind == EXPORT_JSON)
		return write_json(report, file, err);
	if (kind == EXPORT_CSV)
		write_csv(report, file);
	else
		write_markdown(report, file);
	return STATUS_OK;
}

/* Writes the file, which then takes the place of `path`. */
static int write_beside(const struct bench_report *report, enum export_kind kind, int fd,
	const char *beside, const char *path, struct error *err)
{
	AUTO_FCLOSE FILE *file = fdopen(fd, "w");
	mode_t mask = umask(0);
	int status;

	umask(mask);
	if (!file) {
		int failed = errno;

		close(fd);
		return error_os(err, failed, "'%s'", path);
	}
	fchmod(fd, 0666 & ~mask);
	status = write_kind(report, kind, file, err);
	if (status)
		return status;
	if (ferror(file) || fflush(file))
		return error_os(err, errno ? errno : EIO, "cannot write '%s'", path);
	return rename(beside, path) ? error_os(err, errno, "cannot write '%s'", path) : STATUS_OK;
}

int export_report(const struct bench_report *report, enum export_kind kind, const char *path,
	struct error *err)
{
	char beside[4096];
	int fd, status;

	if (!strcmp(path, "-"))
		return write_kind(report, kind, stdout, err);
	if (snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= (int)sizeof beside)
		return error_set(err, STATUS_USAGE, "'%s' is too long a name", path);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return error_os(err, errno, "cannot write '%s'", path);
	status = write_beside(report, kind, fd, beside, path, err);
	if (status)
		unlink(beside);
	return status;
}
