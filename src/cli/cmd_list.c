/* shmsem list: what is in shared memory, and whether anybody needs it. */
#include "cli/commands.h"

#include "base/clock.h"
#include "cli/footer.h"
#include "cli/object_columns.h"
#include "cli/stats.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/view.h"
#include "inventory/survey.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct list_options {
	const char *space, *output, *sort, *colour;
	uint64_t watch; /* ns; 0: once */
	bool all, stale, stats, verbose;
	struct table_style style;
};

static const struct list_options defaults = {.sort = "size", .colour = "auto"};

#define DEFAULT_COLUMNS "NAME,TYPE,SIZE,ALLOC,OWNER,AGE,USERS,STATUS,WHY"

/* What a narrow terminal does without. */
static const char *const gives_way[] = {
	"TYPE", "OWNER", "USERS", "SIZE", "AGE", "GROUP", "MODE", NULL};

#define ROW(field) offsetof(struct list_options, field)

static const struct option_row options[] = {
	{'N', "namespace", "NS", "only the objects of this namespace", OPTION_TEXT, ROW(space), 0,
		0, NULL},
	{'a', "all", NULL, "those of all programs, deleted files, memfds, System V", OPTION_FLAG,
		ROW(all), 0, 0, NULL},
	{0, "stale", NULL, "only what is proven stale", OPTION_FLAG, ROW(stale), 0, 0, NULL},
	{0, "sort", "size|name|age", "largest first (the default), by name, oldest first",
		OPTION_CHOICE, ROW(sort), 0, 0, NULL},
	{'o', "output", "COLS", "these columns, or +COLS: these, too", OPTION_TEXT, ROW(output), 0,
		0, NULL},
	{'v', "verbose", NULL, "on a terminal, too, a line for each object, and all columns",
		OPTION_FLAG, ROW(verbose), 0, 0, NULL},
	{'J', "json", NULL, "as JSON", OPTION_FLAG, ROW(style.json), 0, 0, NULL},
	{'r', "raw", NULL, "for taking apart: single blanks between, none within", OPTION_FLAG,
		ROW(style.raw), 0, 0, NULL},
	{'b', "bytes", NULL, "sizes in bytes", OPTION_FLAG, ROW(style.bytes), 0, 0, NULL},
	{'n', "noheadings", NULL, "no line of headings", OPTION_FLAG, ROW(style.noheadings), 0, 0,
		NULL},
	{0, "color", "[auto|always|never]", "stale, unknown and live in colours", OPTION_CHOICE,
		ROW(colour), 0, 0, "always"},
	{0, "stats", NULL, "the counters of the namespace's server instead", OPTION_FLAG,
		ROW(stats), 0, 0, NULL},
	{0, "watch", "[SEC]", "again and again, every 2 seconds or this often", OPTION_DURATION,
		ROW(watch), 0, 0, "2"},
	{0},
};

/* What was asked for, and what standard output is. */
struct list {
	const struct list_options *options;
	struct name_space space;
	struct table_selection selection;
	struct table_style style;
	char **globs;
	enum view_order order;
	bool readable; /* a table for somebody at a terminal */
};

static bool matches(const struct object *object, char **globs)
{
	if (!*globs)
		return true;
	for (; *globs; globs++)
		if (fnmatch(*globs + (**globs == '/'), object->name, 0) == 0 ||
			(object->space && fnmatch(*globs, object->space, 0) == 0))
			return true;
	return false;
}

static bool wanted(const void *context, const struct object *object)
{
	const struct list *list = context;

	if (!list->options->all && !object->space)
		return false;
	if (list->options->space &&
		(!object->space || strcmp(object->space, list->space.text) != 0))
		return false;
	if (list->options->stale && object->state != OBJECT_STALE)
		return false;
	return matches(object, list->globs);
}

static int print_rows(const struct list *list, const struct view *view, struct error *err)
{
	AUTO_TABLE struct table table = TABLE_NONE;
	int status = table_init(
		&table, "objects", object_columns, &list->selection, &list->style, err);

	for (size_t i = 0; i < view->count && !status; i++) {
		status = table_add_line(&table, err);
		for (size_t at = 0; at < list->selection.count && !status; at++)
			status = object_put_cell(
				&table, at, list->selection.columns[at], view->rows[i].shown, err);
	}
	return status ? status : table_print(&table, err);
}

/* Everything that takes memory was asked for, so what was not seen is told, too. */
static bool tells_all(const struct list *list)
{
	return list->options->all && !list->options->space && !list->options->stale &&
	       !*list->globs;
}

static int list_once(const struct list *list, struct error *err)
{
	AUTO_SURVEY struct survey survey = SURVEY_NONE;
	AUTO_VIEW struct view view = {0};
	int status = survey_take(
		&survey, SURVEY_SYSV | (list->options->all ? SURVEY_MEMFDS : 0), err);

	if (status)
		return status;
	status = tells_all(list) ? view_add_unaccounted(&survey.objects, err) : STATUS_OK;
	if (status)
		return status;
	status = view_make(&survey.objects, wanted, list, list->order,
		list->readable && !list->options->verbose, &view, err);
	if (status)
		return status;
	status = print_rows(list, &view, err);
	if (!status && list->readable)
		footer_print(&survey.objects, list->style.width);
	return status;
}

static int check(const struct list_options *given, int words, struct error *err)
{
	if (given->style.json && given->style.raw)
		return error_set(err, STATUS_USAGE, "--json and --raw exclude each other");
	if (given->stats && words)
		return error_set(err, STATUS_USAGE, "--stats takes --namespace, but no names");
	return STATUS_OK;
}

static int prepare(
	const struct list_options *given, char **globs, struct list *ret, struct error *err)
{
	struct list list = {.options = given, .globs = globs, .style = given->style};
	int status = table_select(
		given->output, DEFAULT_COLUMNS, object_columns, &list.selection, err);

	if (!status && (given->space || given->stats))
		status = namespace_parse(given->space, &list.space, err);
	list.order = !strcmp(given->sort, "name")  ? VIEW_BY_NAME
		     : !strcmp(given->sort, "age") ? VIEW_BY_AGE
						   : VIEW_BY_SIZE;
	list.readable = isatty(STDOUT_FILENO) && !list.style.json && !list.style.raw;
	list.style.colours = terminal_colours(given->colour);
	if (list.readable && !given->output && !given->verbose)
		list.style.gives_way = gives_way;
	*ret = list;
	return status;
}

static int list_run(const void *parsed, int argc, char **argv, struct error *err)
{
	const struct list_options *given = parsed;
	const struct timespec pause = clock_timespec(given->watch);
	struct list list;
	int status = check(given, argc, err);

	if (!status)
		status = prepare(given, argv, &list, err);
	if (status)
		return status;
	for (;;) {
		if (given->watch && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		if (list.readable) /* which may be another one by now */
			list.style.width = terminal_width();
		status = given->stats ? stats_print(&list.space, &list.style, err)
				      : list_once(&list, err);
		if (status || !given->watch)
			return status;
		if (fflush(stdout) != 0 || ferror(stdout)) /* main says why */
			return STATUS_OK;
		nanosleep(&pause, NULL);
	}
}

const struct command command_list = {
	.name = "list",
	.summary = "show what is in shared memory, and whether anybody needs it",
	.synopsis = "[-N NS] [-a] [--stale] [--sort size|name|age] [-o COLS] [-v] [-J] [-r] [-b] "
		    "[--noheadings] [--color[=WHEN]] [--watch[=SEC]] [GLOB…]\n--stats [-N NS] [-J] "
		    "[-b] [--watch[=SEC]]",
	.details = "Columns: NAME, TYPE, SIZE, ALLOC, OWNER, GROUP, MODE, AGE, BIRTH, ACCESSED,\n"
		   "CREATOR, LAST, USERS, PIDS, COMMAND, VALUE, NATTCH, DIMS, HELD, STATUS, WHY.\n"
		   "A GLOB is matched with names and with namespaces.",
	.options = options,
	.options_size = sizeof(struct list_options),
	.defaults = &defaults,
	.run = list_run,
};
