/* shmsem cleanup: removes what nobody needs any more, and says why. */
#include "cli/commands.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "cli/cleanup_plan.h"
#include "cli/cleanup_report.h"
#include "dynload/libjansson.h"
#include "inventory/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cleanup_options {
	struct option_list foreign;
	uint64_t min_age;
	bool dry_run, check, known, sysv, force, yes, json, quiet, verbose;
};

static const struct cleanup_options defaults = {.min_age = 10 * NS_PER_SECOND};

#define ROW(field) offsetof(struct cleanup_options, field)

static const struct option_row options[] = {
	{'n', "dry-run", NULL, "say what would be removed, and remove nothing", OPTION_FLAG,
		ROW(dry_run), 0, 0, NULL},
	{0, "check", NULL, "the same, with status 1 if there is something", OPTION_FLAG, ROW(check),
		0, 0, NULL},
	{0, "foreign", "GLOB", "also other programs' objects of these names, if stale (repeatable)",
		OPTION_LIST, ROW(foreign), 0, 0, NULL},
	{0, "known", NULL, "also what Python, PyTorch, vLLM, ... left, known by their names",
		OPTION_FLAG, ROW(known), 0, 0, NULL},
	{0, "min-age", "DUR", "of those, only what has been there this long (10s)", OPTION_DURATION,
		ROW(min_age), 0, 0, NULL},
	{'f', "force", NULL, "of those, also what nobody can tell about; never what is live",
		OPTION_FLAG, ROW(force), 0, 0, NULL},
	{'y', "yes", NULL, "do not ask before removing other programs' objects", OPTION_FLAG,
		ROW(yes), 0, 0, NULL},
	{0, "sysv", NULL, "also System V's objects, if stale", OPTION_FLAG, ROW(sysv), 0, 0, NULL},
	{'v', "verbose", NULL, "a line for each object instead of each namespace", OPTION_FLAG,
		ROW(verbose), 0, 0, NULL},
	{'q', "quiet", NULL, "say nothing but what could not be removed", OPTION_FLAG, ROW(quiet),
		0, 0, NULL},
	{'J', "json", NULL, "report as JSON", OPTION_FLAG, ROW(json), 0, 0, NULL},
	{0},
};

/* Other programs' objects are removed only if somebody says so. */
static bool is_agreed(const struct objects *objects, const struct planned *actions,
	const struct cleanup_options *cleanup)
{
	struct cleanup_totals totals = cleanup_count(objects, actions);
	char line[16], size[SIZE_TEXT_SIZE];
	bool foreign = false;

	for (size_t i = 0; i < objects->count; i++)
		foreign = foreign ||
			  (actions[i].action == ACTION_REMOVE && !objects->items[i].native);
	if (!foreign)
		return true;
	cleanup_print(stderr, objects, actions, cleanup->verbose);
	fprintf(stderr, "Remove %zu object%s, %s? [y/N] ", totals.pending,
		totals.pending == 1 ? "" : "s", format_size(totals.bytes, size));
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int outcome(const struct cleanup_totals *totals, const struct cleanup_options *cleanup,
	struct error *err)
{
	if (cleanup->check)
		return totals->pending ? STATUS_PARTLY : STATUS_OK;
	if (!totals->refused)
		return STATUS_OK;
	return error_set(err, totals->removed ? STATUS_PARTLY : STATUS_NOT_PERMITTED,
		"%zu of %zu stale objects could not be removed", totals->refused,
		totals->refused + totals->removed);
}

static int plan_and_do(const struct objects *objects, const struct cleanup_rules *rules,
	const struct cleanup_options *cleanup, struct error *err)
{
	AUTO_FREE struct planned *actions = calloc(objects->count + 1, sizeof *actions);
	bool done = !cleanup->dry_run && !cleanup->check;
	struct cleanup_totals totals;
	int status;

	if (!actions)
		return error_os(err, ENOMEM, "cannot clean up");
	cleanup_decide(objects, rules, actions);
	if (done && !cleanup->yes && !is_agreed(objects, actions, cleanup))
		return error_set(err, STATUS_PARTLY, "nothing was removed");
	status = done ? cleanup_do(objects, actions, err) : STATUS_OK;
	if (status)
		return status;
	totals = cleanup_count(objects, actions);
	if (cleanup->json) {
		status = cleanup_print_json(objects, actions, &totals, done, err);
	} else if (!cleanup->quiet) {
		cleanup_print(stdout, objects, actions, cleanup->verbose);
		cleanup_print_totals(stdout, &totals, done);
		cleanup_print_rest(objects, actions);
	}
	return status ? status : outcome(&totals, cleanup, err);
}

static int look_and_clean(
	const struct cleanup_rules *rules, const struct cleanup_options *cleanup, struct error *err)
{
	AUTO_SURVEY struct survey survey = SURVEY_NONE;
	int status = survey_take(&survey, SURVEY_SYSV, err);

	return status ? status : plan_and_do(&survey.objects, rules, cleanup, err);
}

static int cleanup_run(const void *parsed, int argc, char **argv, struct error *err)
{
	const struct cleanup_options *cleanup = parsed;
	AUTO_FREE struct name_space *spaces = calloc((size_t)argc + 1, sizeof *spaces);
	struct cleanup_rules rules = {.spaces = spaces,
		.space_count = (size_t)argc,
		.foreign = cleanup->foreign.texts,
		.foreign_count = cleanup->foreign.count,
		.known = cleanup->known,
		.min_age = cleanup->min_age,
		.sysv = cleanup->sysv,
		.force = cleanup->force};
	int status;

	if (!spaces)
		return error_os(err, ENOMEM, "cannot clean up");
	for (int i = 0; i < argc; i++) {
		status = namespace_parse(argv[i], &spaces[i], err);
		if (status)
			return status;
	}
	if ((cleanup->foreign.count || cleanup->known || cleanup->sysv) && !cleanup->yes &&
		!cleanup->dry_run && !cleanup->check &&
		(!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
		return error_set(err, STATUS_USAGE,
			"--foreign, --known and --sysv want --yes where there is no terminal to "
			"ask on");
	status = cleanup->json ? libjansson_load(err) : STATUS_OK;
	return status ? status : look_and_clean(&rules, cleanup, err);
}

const struct command command_cleanup = {
	.name = "cleanup",
	.summary = "remove from shared memory what is proven stale",
	.synopsis = "[-n] [--check] [--min-age DUR] [--foreign GLOB]… [--known] [--sysv] [-f] [-y] "
		    "[-v] [-q] [-J] [NS…]",
	.details = "Without options: what dead shmsem servers left, in every namespace or in those "
		   "named.\nNothing that anybody uses is ever removed.",
	.options = options,
	.options_size = sizeof(struct cleanup_options),
	.defaults = &defaults,
	.run = cleanup_run,
};
