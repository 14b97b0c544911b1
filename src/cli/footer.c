#include "cli/footer.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "cli/terminal.h"
#include "inventory/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 5

static void print_line(const char *text, size_t width)
{
	print_wrapped(text, 0, 2, width);
}

static const struct {
	const char *one, *several, *command;
} classes[] = {
	[OWNER_SHMSEM] = {"stale object of shmsem", "stale objects of shmsem", ""},
	[OWNER_KNOWN] = {"stale object of a known program", "stale objects of known programs",
		" --known"},
	[OWNER_OTHER] = {"stale object of other programs", "stale objects of other programs",
		" --foreign GLOB"},
	[OWNER_SYSV] = {"stale System V segment", "stale System V segments", " --sysv"},
};

const char *advice_text(const struct tally *tally, enum owner_class owner, char text[ADVICE_SIZE])
{
	const struct sum *sum = &tally->stale[owner];
	char size[SIZE_TEXT_SIZE];

	if (!sum->count)
		return NULL;
	snprintf(text, ADVICE_SIZE, "%s in %zu %s: 'shmsem cleanup%s' removes %s",
		format_size(sum->bytes, size), sum->count,
		sum->count == 1 ? classes[owner].one : classes[owner].several,
		classes[owner].command, sum->count == 1 ? "it" : "them");
	return text;
}

/* ---- sums, largest first ---- */

struct share {
	const struct object *first; /* of a namespace, or held by a process */
	struct sum sum;
};

struct shares {
	struct share *items;
	size_t count;
};

static int compare_shares(const void *left, const void *right)
{
	const struct share *a = left, *b = right;

	return (a->sum.bytes < b->sum.bytes) - (a->sum.bytes > b->sum.bytes);
}

/* The memory of each namespace; `objects` have those of one in a row. */
static struct shares share_by_space(const struct objects *objects)
{
	struct shares shares = {.items = calloc(objects->count + 1, sizeof *shares.items)};
	struct share *last = NULL;

	for (size_t i = 0; shares.items && i < objects->count; i++) {
		const struct object *object = &objects->items[i];

		if (!object->space)
			continue;
		if (!last || strcmp(last->first->space, object->space) != 0) {
			last = &shares.items[shares.count++];
			last->first = object;
		}
		last->sum.bytes += object->allocated;
		last->sum.count++;
	}
	return shares;
}

static int compare_holders(const void *left, const void *right)
{
	const struct share *a = left, *b = right;
	pid_t first = a->first->holders->pid, second = b->first->holders->pid;

	return (first > second) - (first < second);
}

/* The deleted files by the process that holds them, the first where several do. */
static struct shares share_by_holder(const struct objects *objects)
{
	struct shares shares = {.items = calloc(objects->count + 1, sizeof *shares.items)};
	size_t kept = 0;

	for (size_t i = 0; shares.items && i < objects->count; i++) {
		const struct object *object = &objects->items[i];

		if (object->type == OBJECT_DELETED && object->users)
			shares.items[shares.count++] = (struct share){
				.first = object, .sum = {.bytes = object->allocated, .count = 1}};
	}
	if (shares.count)
		qsort(shares.items, shares.count, sizeof *shares.items, compare_holders);
	for (size_t i = 0; i < shares.count; i++) {
		struct share *last = kept ? &shares.items[kept - 1] : NULL;

		if (last && !compare_holders(last, &shares.items[i])) {
			last->sum.bytes += shares.items[i].sum.bytes;
			last->sum.count++;
		} else {
			shares.items[kept++] = shares.items[i];
		}
	}
	shares.count = kept;
	return shares;
}

static void print_spaces(const struct objects *objects, size_t width)
{
	struct shares shares = share_by_space(objects);
	char size[SIZE_TEXT_SIZE], text[NAMESPACE_MAX + 64];

	if (shares.count)
		qsort(shares.items, shares.count, sizeof *shares.items, compare_shares);
	for (size_t i = 0; i < shares.count && i < LINES_MAX; i++) {
		snprintf(text, sizeof text, "namespace %s: %s in %zu object%s",
			shares.items[i].first->space, format_size(shares.items[i].sum.bytes, size),
			shares.items[i].sum.count, shares.items[i].sum.count == 1 ? "" : "s");
		print_line(text, width);
	}
	if (shares.count > LINES_MAX)
		printf("and %zu more namespaces\n", shares.count - LINES_MAX);
	free(shares.items);
}

static void print_deleted(const struct objects *objects, size_t width)
{
	struct shares shares = share_by_holder(objects);
	char size[SIZE_TEXT_SIZE], process[PROCESS_TEXT_SIZE], text[PROCESS_TEXT_SIZE + 64];

	if (shares.count)
		qsort(shares.items, shares.count, sizeof *shares.items, compare_shares);
	for (size_t i = 0; i < shares.count && i < LINES_MAX; i++) {
		const struct holder *holder = shares.items[i].first->holders;

		snprintf(text, sizeof text, "%s in %zu deleted file%s held by %s",
			format_size(shares.items[i].sum.bytes, size), shares.items[i].sum.count,
			shares.items[i].sum.count == 1 ? "" : "s",
			process_text(holder->pid, holder->command, process));
		print_line(text, width);
	}
	if (shares.count > LINES_MAX)
		printf("and in those of %zu more processes\n", shares.count - LINES_MAX);
	free(shares.items);
}

static void print_usage(const struct tally *tally, size_t width)
{
	char used[SIZE_TEXT_SIZE], size[SIZE_TEXT_SIZE], text[256];

	if (tally->limited)
		snprintf(text, sizeof text, "%s: %s of %s used", SHM_DIRECTORY,
			format_size(tally->used, used), format_size(tally->size, size));
	else
		snprintf(text, sizeof text, "%s: no limit", SHM_DIRECTORY);
	if (tally->inodes && tally->inodes_used > tally->inodes / 10 * 9)
		snprintf(text + strlen(text), sizeof text - strlen(text),
			", and %llu of %llu inodes, which is all but full",
			(unsigned long long)tally->inodes_used, (unsigned long long)tally->inodes);
	print_line(text, width);
}

void footer_print(const struct objects *objects, size_t width)
{
	struct tally tally = tally_of(objects);
	char text[ADVICE_SIZE], size[SIZE_TEXT_SIZE];
	bool stale = false;

	putchar('\n');
	print_usage(&tally, width);
	print_spaces(objects, width);
	print_deleted(objects, width);
	if (tally.unaccounted) {
		snprintf(text, sizeof text, "unaccounted: %s, " UNACCOUNTED_WHY,
			format_size(tally.unaccounted, size));
		print_line(text, width);
	}
	for (enum owner_class owner = 0; owner < OWNER_CLASSES; owner++) {
		if (!advice_text(&tally, owner, text))
			continue;
		print_line(text, width);
		stale = true;
	}
	if (!stale)
		puts("nothing is known to be stale");
}
