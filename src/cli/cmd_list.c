/* shmsem list: what is in shared memory, and whether anybody needs it. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/number.h"
#include "cli/object_columns.h"
#include "cli/stats.h"
#include "cli/table.h"
#include "inventory/survey.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct list_options {
	const char *space, *output;
	uint64_t watch; /* ns; 0: once */
	bool all, stale, stats;
	struct table_style style;
};

#define DEFAULT_COLUMNS "NAME,TYPE,SIZE,ALLOC,OWNER,AGE,USERS,STATUS,WHY"

#define ROW(field) offsetof(struct list_options, field)

static const struct option_row options[] = {
	{'N', "namespace", "NS", "only the objects of this namespace", OPTION_TEXT, ROW(space), 0,
		0, NULL},
	{'a', "all", NULL, "whoever made them, and System V's, too", OPTION_FLAG, ROW(all), 0, 0,
		NULL},
	{0, "stale", NULL, "only what is proven stale", OPTION_FLAG, ROW(stale), 0, 0, NULL},
	{'o', "output", "COLS", "these columns, or +COLS: these, too", OPTION_TEXT, ROW(output), 0,
		0, NULL},
	{'J', "json", NULL, "as JSON", OPTION_FLAG, ROW(style.json), 0, 0, NULL},
	{'r', "raw", NULL, "for taking apart: single blanks between, none within", OPTION_FLAG,
		ROW(style.raw), 0, 0, NULL},
	{'b', "bytes", NULL, "sizes in bytes", OPTION_FLAG, ROW(style.bytes), 0, 0, NULL},
	{'n', "noheadings", NULL, "no line of headings", OPTION_FLAG, ROW(style.noheadings), 0, 0,
		NULL},
	{0, "stats", NULL, "the counters of the namespace's server instead", OPTION_FLAG,
		ROW(stats), 0, 0, NULL},
	{0, "watch", "[SEC]", "again and again, every 2 seconds or this often", OPTION_DURATION,
		ROW(watch), 0, 0, "2"},
	{0},
};

static bool wanted(const struct list_options *list, const struct name_space *space,
	const struct object *object, char **globs)
{
	if (!list->all && !object->named)
		return false;
	if (list->space && (!object->named || strcmp(object->space.text, space->text)))
		return false;
	if (list->stale && object->state != OBJECT_STALE)
		return false;
	if (!*globs)
		return true;
	for (; *globs; globs++)
		if (fnmatch(*globs + (**globs == '/'), object->name, 0) == 0 ||
			(object->named && fnmatch(*globs, object->space.text, 0) == 0))
			return true;
	return false;
}

/* How full /dev/shm is, how much of that is stale, and what to type. */
static void print_footer(const struct objects *objects)
{
	char used[SIZE_TEXT_SIZE], whole[SIZE_TEXT_SIZE], stale[SIZE_TEXT_SIZE];
	struct {
		uint64_t bytes;
		size_t count;
	} ours = {0}, others = {0};
	struct statvfs system;

	if (statvfs(SHM_DIRECTORY, &system) != 0)
		return;
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];

		if (object->state != OBJECT_STALE || object_is_sysv(object))
			continue;
		*(object->native ? &ours.count : &others.count) += 1;
		*(object->native ? &ours.bytes : &others.bytes) += object->allocated;
	}
	printf("\n%s: %s of %s used\n", SHM_DIRECTORY,
		format_size((uint64_t)(system.f_blocks - system.f_bfree) * system.f_frsize, used),
		format_size((uint64_t)system.f_blocks * system.f_frsize, whole));
	if (ours.count)
		printf("%s in %zu stale objects of shmsem: 'shmsem cleanup' removes them\n",
			format_size(ours.bytes, stale), ours.count);
	if (others.count)
		printf("%s in %zu stale objects of other programs: 'shmsem list -a --stale' shows "
		       "them, 'shmsem cleanup --foreign GLOB' removes them\n",
			format_size(others.bytes, stale), others.count);
	if (!ours.count && !others.count)
		printf("nothing is known to be stale\n");
}

static int print_objects(const struct list_options *list, const struct name_space *space,
	const struct table_selection *selection, const struct objects *objects, char **globs,
	struct error *err)
{
	struct table table;
	int status = table_init(&table, "objects", object_columns, selection, &list->style, err);

	if (status)
		return status;
	for (size_t i = 0; i < objects->count && !status; i++) {
		if (!wanted(list, space, &objects->items[i], globs))
			continue;
		status = table_add_line(&table, err);
		for (size_t at = 0; at < selection->count && !status; at++)
			status = object_put_cell(
				&table, at, selection->columns[at], &objects->items[i], err);
	}
	if (!status)
		status = table_print(&table, err);
	table_release(&table);
	if (!status && isatty(STDOUT_FILENO) && !list->style.json && !list->style.raw)
		print_footer(objects);
	return status;
}

static int list_once(const struct list_options *list, const struct name_space *space,
	const struct table_selection *selection, char **globs, struct error *err)
{
	struct holders holders = HOLDERS_NONE;
	struct objects objects = OBJECTS_NONE;
	int status;

	if (list->stats)
		return stats_print(space, &list->style, err);
	status = survey(&objects, &holders, list->all, err);
	if (!status)
		status = print_objects(list, space, selection, &objects, globs, err);
	objects_release(&objects);
	holders_release(&holders);
	return status;
}

static int list_run(const void *parsed, int argc, char **argv, struct error *err)
{
	const struct list_options *list = parsed;
	const struct timespec pause = clock_timespec(list->watch);
	struct table_selection selection;
	struct name_space space = {0};
	int status = table_select(list->output, DEFAULT_COLUMNS, object_columns, &selection, err);

	if (!status && (list->space || list->stats))
		status = namespace_parse(list->space, &space, err);
	if (!status && list->style.json && list->style.raw)
		status = error_set(err, STATUS_USAGE, "--json and --raw exclude each other");
	if (!status && list->stats && argc)
		status = error_set(err, STATUS_USAGE, "--stats takes --namespace, but no names");
	if (status)
		return status;
	for (;;) {
		if (list->watch && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		status = list_once(list, &space, &selection, argv, err);
		if (status || !list->watch)
			return status;
		if (fflush(stdout) != 0) /* main says why */
			return STATUS_OK;
		nanosleep(&pause, NULL);
	}
}

const struct command command_list = {
	.name = "list",
	.summary = "show what is in shared memory, and whether anybody needs it",
	.synopsis =
		"[-N NS] [-a] [-o COLS] [-J] [-r] [-b] [--noheadings] [--stale] [--watch[=SEC]] "
		"[GLOB…]\n--stats [-N NS] [-J] [-b] [--watch[=SEC]]",
	.details = "Columns: NAME, TYPE, SIZE, ALLOC, OWNER, GROUP, MODE, AGE, BIRTH, ACCESSED,\n"
		   "CREATOR, LAST, USERS, PIDS, COMMAND, VALUE, NATTCH, DIMS, HELD, STATUS, WHY.\n"
		   "A GLOB is matched with names and with namespaces.",
	.options = options,
	.options_size = sizeof(struct list_options),
	.run = list_run,
};
