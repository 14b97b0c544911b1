#include "bench/report.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "dynload/libm.h"
#include "dynload/libsmartcols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BAR_WIDTH 24

enum column {
	COLUMN_NAME,
	COLUMN_P50,
	COLUMN_P90,
	COLUMN_P99,
	COLUMN_MAX,
	COLUMN_SPREAD,
	COLUMN_RATIO,
	COLUMN_BAR,
	COLUMN_NOTE,
	COLUMNS,
};

static const struct {
	const char *name;
	int flags;
} columns[COLUMNS] = {
	[COLUMN_NAME] = {"NAME", 0},
	[COLUMN_P50] = {"P50", SCOLS_FL_RIGHT},
	[COLUMN_P90] = {"P90", SCOLS_FL_RIGHT},
	[COLUMN_P99] = {"P99", SCOLS_FL_RIGHT},
	[COLUMN_MAX] = {"MAX", SCOLS_FL_RIGHT},
	[COLUMN_SPREAD] = {"SPREAD", SCOLS_FL_RIGHT},
	[COLUMN_RATIO] = {"X LIMIT", SCOLS_FL_RIGHT},
	[COLUMN_BAR] = {"P50, LOGARITHMIC", 0},
	[COLUMN_NOTE] = {"NOTE", SCOLS_FL_TRUNC},
};

void report_release(struct bench_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		bench_series_release(&report->results[i].series);
	free(report->results);
	*report = (struct bench_report){0};
}

struct bench_result *report_add(struct bench_report *report, const char *part, const char *group)
{
	struct bench_result *grown = realloc(report->results, (report->count + 1) * sizeof *grown);

	if (!grown)
		return NULL;
	report->results = grown;
	grown += report->count++;
	*grown = (struct bench_result){0};
	snprintf(grown->part, sizeof grown->part, "%s", part);
	snprintf(grown->group, sizeof grown->group, "%s", group);
	return grown;
}

int report_finish_group(
	struct bench_report *report, struct bench_series *series, size_t count, struct error *err)
{
	struct bench_result *rows = report->results + report->count - count;
	int status = STATUS_OK;

	for (size_t i = 0; i < count; i++) {
		rows[i].series = series[i];
		series[i] = (struct bench_series){0};
		rows[i].limit = i == 0;
	}
	for (size_t i = 0; !status && i < count; i++) {
		status = bench_statistics(&rows[i].series, &rows[i].statistics, err);
		rows[i].ratio = bench_ratio(&rows[i].series, &rows[0].series);
	}
	return status;
}

const char *report_time(double ns, char text[REPORT_CELL_SIZE])
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	size_t unit = 0;

	for (; ns >= 999.5 && unit < 3; unit++)
		ns /= 1000;
	snprintf(text, REPORT_CELL_SIZE, "%.*f%s",
		ns < 9.995   ? 2
		: ns < 99.95 ? 1
			     : 0,
		ns, units[unit]);
	return text;
}

const char *report_ratio(double ratio, char text[REPORT_CELL_SIZE])
{
	text[0] = '\0';
	if (ratio > 0)
		snprintf(text, REPORT_CELL_SIZE, "%.*f x",
			ratio < 1.995   ? 2
			: ratio < 99.95 ? 1
					: 0,
			ratio);
	return text;
}

const char *report_machine(const struct bench_report *report, char text[REPORT_LINE_SIZE])
{
	const struct machine *machine = &report->machine;
	char pinned[64] = "not pinned";

	if (machine->requester_cpu >= 0)
		snprintf(pinned, sizeof pinned, "pinned to CPUs %d and %d", machine->requester_cpu,
			machine->responder_cpu);
	snprintf(text, REPORT_LINE_SIZE, "%s, %d of %d CPUs, %s, %s", machine->model,
		machine->allowed, machine->cpus, machine->kernel, pinned);
	return text;
}

const char *report_method(const struct bench_report *report, char text[REPORT_LINE_SIZE])
{
	snprintf(text, REPORT_LINE_SIZE,
		"%u runs of each in turn after %u of warm-up, %.3gs each, at most %d samples a run",
		report->runs, report->warmup, (double)report->time_ns / 1e9, BENCH_SAMPLES_MAX);
	return text;
}

static const char *noise_warning(const struct bench_report *report)
{
	static char text[256];
	const struct bench_result *worst = NULL;
	size_t noisy = 0;

	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *row = &report->results[i];

		if (row->statistics.spread <= BENCH_SPREAD_MAX)
			continue;
		noisy++;
		if (!worst || row->statistics.spread > worst->statistics.spread)
			worst = row;
	}
	if (!worst)
		return NULL;
	snprintf(text, sizeof text,
		"noisy: runs of %zu of %zu rows spread by more than %.0f %% (worst: %s %s, %.0f "
		"%%); end other programs or give more --time",
		noisy, report->count, BENCH_SPREAD_MAX * 100, worst->group, worst->name,
		worst->statistics.spread * 100);
	return text;
}

const char *report_warning(const struct bench_report *report, size_t index)
{
	size_t machine = 0;

	while (machine_warning(&report->machine, machine))
		machine++;
	if (index < machine)
		return machine_warning(&report->machine, index);
	return index == machine ? noise_warning(report) : NULL;
}

/* Where in a group the bar of a row ends: the limit has one character, the slowest all of them. */
static void draw_bar(double ratio, double most, char bar[BAR_WIDTH + 1])
{
	double share = most > 1 && ratio > 1 ? log(ratio) / log(most) : 0;
	size_t length = 1 + (size_t)(share * (BAR_WIDTH - 1) + 0.5);

	memset(bar, '#', length);
	bar[length] = '\0';
}

static int add_row(
	struct libscols_table *table, const struct bench_result *row, double most, bool bars)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const struct bench_statistics *of = &row->statistics;
	const double times[] = {of->p50, of->p90, of->p99, of->most};
	char cell[REPORT_CELL_SIZE], bar[BAR_WIDTH + 1];
	int failed = !line || scols_line_set_data(line, COLUMN_NAME, row->name);

	for (size_t i = 0; !failed && i < sizeof times / sizeof *times; i++)
		failed = scols_line_set_data(line, COLUMN_P50 + i, report_time(times[i], cell));
	if (failed)
		return failed;
	snprintf(cell, sizeof cell, "%.1f%%", of->spread * 100);
	failed = scols_line_set_data(line, COLUMN_SPREAD, cell);
	failed = failed || scols_line_set_data(line, COLUMN_RATIO, report_ratio(row->ratio, cell));
	if (bars) {
		draw_bar(row->ratio, most, bar);
		failed = failed || scols_line_set_data(line, COLUMN_BAR, bar);
	}
	return failed || scols_line_set_data(line, COLUMN_NOTE, row->note);
}

static int fill_table(
	struct libscols_table *table, const struct bench_result *rows, size_t count, bool bars)
{
	double most = 1;
	bool negative = false;
	int failed = 0;

	for (size_t i = 0; i < count; i++) {
		negative |= rows[i].note[0] != '\0';
		if (rows[i].ratio > most)
			most = rows[i].ratio;
	}
	for (int i = 0; !failed && i < COLUMNS; i++) {
		bool hidden = (i == COLUMN_BAR && !bars) || (i == COLUMN_NOTE && !negative);

		failed = !scols_table_new_column(table, columns[i].name, 0,
			columns[i].flags | (hidden ? SCOLS_FL_HIDDEN : 0));
	}
	for (size_t i = 0; !failed && i < count; i++)
		failed = add_row(table, &rows[i], most, bars);
	return failed;
}

static int print_group(
	FILE *file, const struct bench_result *rows, size_t count, bool bars, struct error *err)
{
	struct libscols_table *table = scols_new_table();
	int failed;

	if (!table)
		return error_os(err, ENOMEM, "cannot make the table");
	fprintf(file, "\n%s, %s\n", rows->part, rows->group);
	scols_table_set_stream(table, file);
	failed = fill_table(table, rows, count, bars) || scols_print_table(table);
	scols_unref_table(table);
	return failed ? error_os(err, ENOMEM, "cannot make the table") : STATUS_OK;
}

const char *report_goal(
	const struct bench_report *report, enum goal goal, char text[REPORT_CELL_SIZE])
{
	text[0] = '\0';
	if (report->goals.known[goal])
		snprintf(text, REPORT_CELL_SIZE,
			report->goals.values[goal] < 999.5 ? "%.3g %s" : "%.0f %s",
			report->goals.values[goal], goal_texts[goal].unit);
	return text;
}

static int add_goal(struct libscols_table *table, const struct bench_report *report, enum goal goal)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char cell[REPORT_CELL_SIZE], bound[REPORT_CELL_SIZE * 2];
	const struct goal_text *text = &goal_texts[goal];

	snprintf(
		bound, sizeof bound, "%s %s", text->at_least ? "at least" : "at most", text->limit);
	return !line || scols_line_set_data(line, 0, text->what) ||
	       scols_line_set_data(line, 1, bound) ||
	       scols_line_set_data(line, 2, report_goal(report, goal, cell)) ||
	       scols_line_set_data(line, 3, goal_reached(&report->goals, goal) ? "reached" : "no");
}

static int print_goals(const struct bench_report *report, FILE *file, struct error *err)
{
	static const char *const names[] = {"GOAL", "LIMIT", "MEASURED", "REACHED"};
	struct libscols_table *table = scols_new_table();
	int failed = !table;

	if (failed)
		return error_os(err, ENOMEM, "cannot make the table");
	fputs("\ngoals\n", file);
	scols_table_set_stream(table, file);
	for (int i = 0; !failed && i < 4; i++)
		failed = !scols_table_new_column(table, names[i], 0, i == 2 ? SCOLS_FL_RIGHT : 0);
	for (int goal = 0; !failed && goal < GOALS; goal++)
		if (report->goals.known[goal])
			failed = add_goal(table, report, (enum goal)goal);
	failed = failed || scols_print_table(table);
	scols_unref_table(table);
	return failed ? error_os(err, ENOMEM, "cannot make the table") : STATUS_OK;
}

int report_print(const struct bench_report *report, FILE *file, bool bars, struct error *err)
{
	char line[REPORT_LINE_SIZE];
	const char *warning;
	int status = STATUS_OK;

	fprintf(file, "%s\n", report_machine(report, line));
	fprintf(file, "%s\n", report_method(report, line));
	for (size_t first = 0, count; !status && first < report->count; first += count) {
		const struct bench_result *rows = report->results + first;

		for (count = 1; first + count < report->count; count++)
			if (strcmp(rows->part, rows[count].part) ||
				strcmp(rows->group, rows[count].group))
				break;
		status = print_group(file, rows, count, bars, err);
	}
	if (!status && goals_known(&report->goals))
		status = print_goals(report, file, err);
	for (size_t i = 0; (warning = report_warning(report, i)); i++)
		fprintf(file, "%swarning: %s\n", i ? "" : "\n", warning);
	return status;
}
