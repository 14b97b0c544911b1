#include "cli/cleanup_report.h"

#include "base/number.h"
#include "base/text.h"
#include "cli/footer.h"
#include "cli/print_json.h"
#include "cli/terminal.h"
#include "inventory/known.h"
#include "inventory/tally.h"

#include <stdlib.h>
#include <string.h>

struct cleanup_totals cleanup_count(const struct objects *objects, const struct planned *actions)
{
	struct cleanup_totals totals = {0};

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

/* Why it is as it is: why it goes, or why it stays though it is stale. */
static void print_reason(FILE *file, const struct object *object, const struct planned *planned)
{
	if (planned->action == ACTION_REFUSED)
		fprintf(file, ": %s; but %s", object->why, planned->reason);
	else
		fprintf(file, ": %s",
			planned->action == ACTION_KEPT ? planned->reason : object->why);
}

static void print_one(FILE *file, const struct object *object, const struct planned *planned)
{
	char name[1024], size[SIZE_TEXT_SIZE];

	text_escape(object->name, strlen(object->name), name, sizeof name);
	fprintf(file, "%s %s (%s, %s)", action_text(planned->action), name,
		object_type_text(object->type), format_size(object_bytes(object), size));
	print_reason(file, object, planned);
}

/* Whether one line can say it of both. */
static bool same_line(
	const struct objects *objects, const struct planned *actions, size_t a, size_t b)
{
	const struct object *first = &objects->items[a], *second = &objects->items[b];
	const char *program = known_program(first);

	if (actions[a].action != actions[b].action ||
		strcmp(actions[a].reason, actions[b].reason) != 0 ||
		strcmp(first->why, second->why) != 0)
		return false;
	if (first->space && second->space)
		return !strcmp(first->space, second->space);
	return program && program == known_program(second);
}

/* "removed 6 objects of the namespace cam, 156K: server's lock free, was 812" */
static void print_group(FILE *file, const struct objects *objects, const struct planned *actions,
	size_t first, const struct sum *sum)
{
	const struct object *object = &objects->items[first];
	const char *program = known_program(object);
	char size[SIZE_TEXT_SIZE];

	fprintf(file, "%s %zu objects of %s%s, %s", action_text(actions[first].action), sum->count,
		program ? "" : "the namespace ", program ? program : object->space,
		format_size(sum->bytes, size));
	print_reason(file, object, &actions[first]);
}

/* What is to be said of the `sum` objects from `first` on. */
static void print_line(FILE *file, const struct objects *objects, const struct planned *actions,
	size_t first, const struct sum *sum)
{
	char *text = NULL;
	size_t size, width = file == stdout ? terminal_width() : 0;
	FILE *line = width ? open_memstream(&text, &size) : NULL;
	FILE *to = line ? line : file;

	if (sum->count == 1)
		print_one(to, &objects->items[first], &actions[first]);
	else
		print_group(to, objects, actions, first, sum);
	if (!line)
		putc('\n', file);
	else if (fclose(line) == 0)
		print_wrapped(text, 0, 2, width);
	free(text);
}

void cleanup_print(
	FILE *file, const struct objects *objects, const struct planned *actions, bool verbose)
{
	size_t end;

	for (size_t start = 0; start < objects->count; start = end) {
		struct sum sum = {.bytes = object_bytes(&objects->items[start]), .count = 1};

		end = start + 1;
		if (actions[start].action == ACTION_NONE)
			continue;
		while (!verbose && end < objects->count &&
			same_line(objects, actions, start, end)) {
			sum.bytes += object_bytes(&objects->items[end++]);
			sum.count++;
		}
		print_line(file, objects, actions, start, &sum);
	}
}

void cleanup_print_totals(FILE *file, const struct cleanup_totals *totals, bool done)
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

void cleanup_print_rest(const struct objects *objects, const struct planned *actions)
{
	struct tally tally = tally_of(objects);
	char text[ADVICE_SIZE];

	/* What was asked for has been told already. */
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];
		struct sum *sum = &tally.stale[object_owner_class(object)];

		if (object->state != OBJECT_STALE || actions[i].action == ACTION_NONE)
			continue;
		sum->count--;
		sum->bytes -= object_bytes(object);
	}
	for (enum owner_class owner = 0; owner < OWNER_CLASSES; owner++)
		if (advice_text(&tally, owner, text))
			print_wrapped(text, 0, 2, terminal_width());
}

int cleanup_print_json(const struct objects *objects, const struct planned *actions,
	const struct cleanup_totals *totals, bool done, struct error *err)
{
	json_t *list = json_array();

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
	return print_json(
		json_pack("{s:o, s:b, s:I, s:I, s:I, s:I}", "objects", list, "done", done, "bytes",
			(json_int_t)totals->bytes, "removed", (json_int_t)totals->removed, "kept",
			(json_int_t)totals->kept, "refused", (json_int_t)totals->refused),
		err);
}
