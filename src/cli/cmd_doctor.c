/* shmsem doctor: what on this host makes a server or its clients fail or slow, and what helps. */
#include "cli/commands.h"

#include "cli/doctor.h"
#include "cli/table.h"
#include "cli/terminal.h"

#include <stdio.h>

struct doctor_options {
	bool json;
	const char *colour;
};

static const struct doctor_options defaults = {.colour = "auto"};

static const struct option_row options[] = {
	{'J', "json", NULL, "as JSON", OPTION_FLAG, offsetof(struct doctor_options, json), 0, 0,
		NULL},
	{0, "color", "[auto|always|never]", "what is bad, a warning or ok in colours",
		OPTION_CHOICE, offsetof(struct doctor_options, colour), 0, 0, "always"},
	{0},
};

enum column {
	COLUMN_CHECK,
	COLUMN_STATE,
	COLUMN_FINDING,
	COLUMN_REMEDY
};

static const struct table_column columns[] = {
	[COLUMN_CHECK] = {"CHECK", TABLE_TEXT, "what was looked at"},
	[COLUMN_STATE] = {"STATE", TABLE_TEXT, "ok, warning or bad"},
	[COLUMN_FINDING] = {"FINDING", TABLE_WIDE, "what was found"},
	[COLUMN_REMEDY] = {"REMEDY", TABLE_WIDE, "what helps"},
	{0},
};

static const char *const states[] = {
	[FINDING_OK] = "ok",
	[FINDING_WARNING] = "warning",
	[FINDING_BAD] = "bad",
};

static const char *const colours[] = {
	[FINDING_OK] = TERMINAL_GREEN,
	[FINDING_WARNING] = TERMINAL_YELLOW,
	[FINDING_BAD] = TERMINAL_RED,
};

static int add_finding(struct table *table, const struct finding *finding, struct error *err)
{
	const char *const cells[] = {
		[COLUMN_CHECK] = finding->check,
		[COLUMN_STATE] = states[finding->state],
		[COLUMN_FINDING] = finding->what,
		[COLUMN_REMEDY] = finding->remedy,
	};
	int status = table_add_line(table, err);

	for (size_t at = COLUMN_CHECK; !status && at <= COLUMN_REMEDY; at++)
		if (cells[at][0])
			status = table_put(table, at, cells[at], err);
	return status;
}

static int print_json(const struct findings *findings, struct error *err)
{
	const struct table_style style = {.json = true};
	struct table_selection all;
	AUTO_TABLE struct table table = TABLE_NONE;
	int status = table_select(NULL, "CHECK,STATE,FINDING,REMEDY", columns, &all, err);

	if (status)
		return status;
	status = table_init(&table, "findings", columns, &all, &style, err);
	for (size_t i = 0; i < findings->count && !status; i++)
		status = add_finding(&table, &findings->items[i], err);
	return status ? status : table_print(&table, err);
}

/* Where findings begin. */
#define INDENT 24

static void print_text(const struct findings *findings, bool coloured)
{
	size_t width = terminal_width();

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];

		printf("%s%-8s%s %-14s ", coloured ? colours[finding->state] : "",
			states[finding->state], coloured ? TERMINAL_PLAIN : "", finding->check);
		print_wrapped(finding->what, INDENT, INDENT, width);
		if (!finding->remedy[0])
			continue;
		printf("%*s→ ", INDENT - 1, "");
		print_wrapped(finding->remedy, INDENT + 1, INDENT + 1, width);
	}
}

static int run(const void *given, int argc, char **argv, struct error *err)
{
	const struct doctor_options *doctor = given;
	struct findings findings = {0};
	int status = STATUS_OK;

	if (argc > 1)
		return error_set(err, STATUS_USAGE, "unexpected argument '%s'", argv[1]);
	doctor_shm(&findings);
	doctor_kernel(&findings);
	doctor_libraries(&findings);
	doctor_limits(&findings);
	if (argc)
		doctor_folder(&findings, argv[0]);
	if (doctor->json)
		status = print_json(&findings, err);
	else
		print_text(&findings, terminal_colours(doctor->colour));
	for (size_t i = 0; i < findings.count && !status; i++)
		if (findings.items[i].state == FINDING_BAD)
			status = STATUS_PARTLY;
	return status;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "check this host for what makes a server or its clients fail or slow",
	.synopsis = "[-J] [--color[=WHEN]] [DIR]",
	.details = "Status 1 if something does not work; warnings alone are 0.",
	.options = options,
	.options_size = sizeof(struct doctor_options),
	.defaults = &defaults,
	.run = run,
};
