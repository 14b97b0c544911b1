/* shmsem cleanup: removes what nobody needs any more, and says why. */
#include "cli/commands.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/cleanup_plan.h"
#include "inventory/survey.h"
#include "inventory/tally.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cleanup_options {
	const char *foreign;
	uint64_t min_age;
	bool dry_run, check, known, sysv, force, yes, json;
};

static const struct cleanup_options defaults = {.min_age = 10 * NS_PER_SECOND};

#define ROW(field) offsetof(struct cleanup_options, field)

static const struct option_row options[] = {
	{'n', "dry-run", NULL, "say what would be removed, and remove nothing", OPTION_FLAG,
		ROW(dry_run), 0, 0, NULL},
	{0, "check", NULL, "the same, with status 1 if anything is stale", OPTION_FLAG, ROW(check),
		0, 0, NULL},
	{0, "foreign", "GLOB", "also other programs' objects of these names, if stale", OPTION_TEXT,
		ROW(foreign), 0, 0, NULL},
	{0, "known", NULL, "also what Python, PyTorch, vLLM, ... left, known by their names",
		OPTION_FLAG, ROW(known), 0, 0, NULL},
	{0, "min-age", "DUR", "of those, only what has been there this long (10s)", OPTION_DURATION,
		ROW(min_age), 0, 0, NULL},
	{'f', "force", NULL, "of those, also what nobody can tell about; never what is live",
		OPTION_FLAG, ROW(force), 0, 0, NULL},
	{'y', "yes", NULL, "do not ask before removing other programs' objects", OPTION_FLAG,
		ROW(yes), 0, 0, NULL},
	{0, "sysv", NULL, "also System V's objects, if stale", OPTION_FLAG, ROW(sysv), 0, 0, NULL},
	{'J', "json", NULL, "report as JSON", OPTION_FLAG, ROW(json), 0, 0, NULL},
	{0},
};

struct totals {
	uint64_t bytes; /* removed, or to be removed */
	size_t removed, kept, refused, pending;
};

static struct totals count_fates(const struct objects *objects, const struct planned *actions)
{
	struct totals totals = {0};

	for (size_t i = 0; i < objects->count; i++) {
		enum action action = actions[i].action;

		totals.removed += action == ACTION_REMOVED;
		totals.pending += action == ACTION_REMOVE;
		totals.kept += action == ACTION_KEPT || action == ACTION_REFUSED;
		totals.refused += action == ACTION_REFUSED;
		if (action == ACTION_REMOVED || action == ACTION_REMOVE)
			totals.bytes += object_bytes(&objects->items[i]);
	}
	return totals;
}

static const char *action_text(enum action action)
{
	switch (action) {
	case ACTION_REMOVE:
		return "would remove";
	case ACTION_REMOVED:
		return "removed";
	case ACTION_GONE:
		return "already gone";
	default:
		return "kept";
	}
}

static void print_fates(FILE *file, const struct objects *objects, const struct planned *actions)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];
		char name[1024], size[SIZE_TEXT_SIZE];
		bool stays = actions[i].action == ACTION_KEPT ||
			     actions[i].action == ACTION_REFUSED;

		if (actions[i].action == ACTION_NONE)
			continue;
		text_escape(object->name, strlen(object->name), name, sizeof name);
		fprintf(file, "%s %s (%s, %s): %s%s%s\n", action_text(actions[i].action), name,
			object_type_text(object->type), format_size(object_bytes(object), size),
			actions[i].action == ACTION_REFUSED ? object->why : "",
			actions[i].action == ACTION_REFUSED ? "; but " : "",
			stays ? actions[i].reason : object->why);
	}
}

static void print_totals(FILE *file, const struct totals *totals, bool done)
{
	char size[SIZE_TEXT_SIZE];
	size_t count = totals->removed + totals->pending;

	if (!count && !totals->refused)
		fputs("nothing to do", file);
	else
		fprintf(file, "%s %s in %zu object%s", done ? "freed" : "would free",
			format_size(totals->bytes, size), count, count == 1 ? "" : "s");
	if (totals->kept)
		fprintf(file, ", kept %zu", totals->kept);
	putc('\n', file);
}

static int print_json(const struct objects *objects, const struct planned *actions,
	const struct totals *totals, bool done, struct error *err)
{
	json_t *list = json_array(), *root;
	int failed;

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];
		bool stays = actions[i].action == ACTION_KEPT ||
			     actions[i].action == ACTION_REFUSED;
		char name[1024], reason[1024];

		if (actions[i].action == ACTION_NONE)
			continue;
		text_escape(object->name, strlen(object->name), name, sizeof name);
		text_escape(actions[i].reason, strlen(actions[i].reason), reason, sizeof reason);
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s*}", "name", name, "type",
				object_type_text(object->type), "bytes",
				(json_int_t)object_bytes(object), "status",
				object_state_text(object->state), "why", object->why, "action",
				action_text(actions[i].action), "reason", stays ? reason : NULL));
	}
	root = json_pack("{s:o, s:b, s:I, s:I, s:I, s:I}", "objects", list, "done", done, "bytes",
		(json_int_t)totals->bytes, "removed", (json_int_t)totals->removed, "kept",
		(json_int_t)totals->kept, "refused", (json_int_t)totals->refused);
	if (!root)
		return error_os(err, ENOMEM, "cannot make the JSON text");
	failed = json_dumpf(root, stdout, JSON_INDENT(3));
	json_decref(root);
	putchar('\n');
	return failed ? error_set(err, STATUS_IO, "cannot print the report") : STATUS_OK;
}

/* Other programs' objects are removed only if somebody says so. */
static bool is_agreed(const struct objects *objects, const struct planned *actions)
{
	struct totals totals = count_fates(objects, actions);
	char line[16], size[SIZE_TEXT_SIZE];
	bool foreign = false;

	for (size_t i = 0; i < objects->count; i++)
		foreign = foreign ||
			  (actions[i].action == ACTION_REMOVE && !objects->items[i].native);
	if (!foreign)
		return true;
	print_fates(stderr, objects, actions);
	fprintf(stderr, "Remove %zu object%s, %s? [y/N] ", totals.pending,
		totals.pending == 1 ? "" : "s", format_size(totals.bytes, size));
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int outcome(
	const struct totals *totals, const struct cleanup_options *cleanup, struct error *err)
{
	if (cleanup->check)
		return totals->pending ? STATUS_PARTLY : STATUS_OK;
	if (!totals->refused)
		return STATUS_OK;
	return error_set(err, totals->removed ? STATUS_PARTLY : STATUS_NOT_PERMITTED,
		"%zu of %zu stale objects could not be removed", totals->refused,
		totals->refused + totals->removed);
}

static int cleanup_plan(const struct objects *objects, const struct cleanup_rules *rules,
	const struct cleanup_options *cleanup, struct error *err)
{
	AUTO_FREE struct planned *actions = calloc(objects->count + 1, sizeof *actions);
	bool done = !cleanup->dry_run && !cleanup->check;
	struct totals totals;
	int status;

	if (!actions)
		return error_os(err, ENOMEM, "cannot clean up");
	cleanup_decide(objects, rules, actions);
	if (done && !cleanup->yes && !is_agreed(objects, actions))
		return error_set(err, STATUS_PARTLY, "nothing was removed");
	status = done ? cleanup_do(objects, actions, err) : STATUS_OK;
	if (status)
		return status;
	totals = count_fates(objects, actions);
	if (cleanup->json) {
		status = print_json(objects, actions, &totals, done, err);
	} else {
		print_fates(stdout, objects, actions);
		print_totals(stdout, &totals, done);
	}
	return status ? status : outcome(&totals, cleanup, err);
}

static int look_and_sweep(
	const struct cleanup_rules *rules, const struct cleanup_options *cleanup, struct error *err)
{
	AUTO_SURVEY struct survey survey = SURVEY_NONE;
	int status = survey_take(&survey, SURVEY_SYSV, err);

	return status ? status : cleanup_plan(&survey.objects, rules, cleanup, err);
}

static int cleanup_run(const void *parsed, int argc, char **argv, struct error *err)
{
	const struct cleanup_options *cleanup = parsed;
	AUTO_FREE struct name_space *spaces = calloc((size_t)argc + 1, sizeof *spaces);
	struct cleanup_rules rules = {.spaces = spaces,
		.space_count = (size_t)argc,
		.foreign = cleanup->foreign,
		.known = cleanup->known,
		.min_age = cleanup->min_age,
		.sysv = cleanup->sysv,
		.force = cleanup->force};

	if (!spaces)
		return error_os(err, ENOMEM, "cannot clean up");
	for (int i = 0; i < argc; i++) {
		int status = namespace_parse(argv[i], &spaces[i], err);

		if (status)
			return status;
	}
	if ((cleanup->foreign || cleanup->known || cleanup->sysv) && !cleanup->yes &&
		!cleanup->dry_run && !cleanup->check &&
		(!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
		return error_set(err, STATUS_USAGE,
			"--foreign, --known and --sysv want --yes where there is no terminal to "
			"ask on");
	return look_and_sweep(&rules, cleanup, err);
}

const struct command command_cleanup = {
	.name = "cleanup",
	.summary = "remove from shared memory what is proven stale",
	.synopsis = "[-n] [--check] [--min-age DUR] [--foreign GLOB] [--known] [--sysv] [-f] [-y] "
		    "[-J] [NS…]",
	.details = "Without options: what dead shmsem servers left, in every namespace or in those "
		   "named.\nNothing that anybody uses is ever removed.",
	.options = options,
	.options_size = sizeof(struct cleanup_options),
	.defaults = &defaults,
	.run = cleanup_run,
};
