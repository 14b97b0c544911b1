#include "cli/view.h"

#include "inventory/tally.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct error *err)
{
	return error_os(err, ENOMEM, "cannot list the objects");
}

static int compare_places(const struct view_row *a, const struct view_row *b)
{
	return (a->object > b->object) - (a->object < b->object);
}

static int by_size(const void *left, const void *right)
{
	const struct view_row *a = left, *b = right;

	if (a->weight != b->weight)
		return a->weight < b->weight ? 1 : -1;
	return compare_places(a, b);
}

static int64_t birth_of(const struct object *object)
{
	return object->birth ? object->birth : object->changed;
}

static int by_age(const void *left, const void *right)
{
	const struct view_row *a = left, *b = right;
	int64_t first = birth_of(a->object), second = birth_of(b->object);

	if (first != second)
		return first > second ? 1 : -1;
	return compare_places(a, b);
}

static bool same_space(const struct object *a, const struct object *b)
{
	return a->space && b->space && !strcmp(a->space, b->space);
}

/* Gives each row the bytes of all rows of its namespace, which stand in a row. */
static void weigh(struct view *view)
{
	size_t end;

	for (size_t start = 0; start < view->count; start = end) {
		uint64_t bytes = 0;

		for (end = start;
			end < view->count && (end == start || same_space(view->rows[start].object,
								      view->rows[end].object));
			end++)
			bytes += object_bytes(view->rows[end].object);
		for (size_t i = start; i < end; i++)
			view->rows[i].weight = bytes;
	}
}

static bool folds_into(const struct object *first, const struct object *next)
{
	return first->type == OBJECT_SEMAPHORE && next->type == OBJECT_SEMAPHORE &&
	       same_space(first, next) && first->state == next->state && first->why && next->why &&
	       !strcmp(first->why, next->why);
}

/* "sem.SEM_cam_REQ +64 semaphores", for a row and the `others` that follow it. */
static bool fold(struct view_row *row, const struct view_row *following, size_t others)
{
	struct object *sum = malloc(sizeof *sum);

	if (!sum)
		return false;
	*sum = *row->object;
	for (size_t i = 0; i < others; i++) {
		sum->size += following[i].object->size;
		sum->allocated += following[i].object->allocated;
	}
	if (asprintf(&sum->name, "%s +%zu semaphore%s", row->object->name, others,
		    others == 1 ? "" : "s") < 0) {
		free(sum);
		return false;
	}
	row->shown = row->folded = sum;
	return true;
}

static bool fold_semaphores(struct view *view)
{
	size_t kept = 0, count = view->count, others;

	view->count = 0;
	for (size_t i = 0; i < count; i += 1 + others) {
		const struct view_row *first = &view->rows[i];

		for (others = 0; i + 1 + others < count &&
				 folds_into(first->object, first[1 + others].object);
			others++)
			;
		/* What it stands for is read before a row is written over it. */
		struct view_row row = *first;

		if (others && !fold(&row, first + 1, others))
			return false;
		view->rows[kept++] = row;
		view->count = kept;
	}
	return true;
}

int view_make(const struct objects *objects,
	bool (*wanted)(const void *context, const struct object *object), const void *context,
	enum view_order order, bool folds, struct view *ret, struct error *err)
{
	struct view view = {.rows = calloc(objects->count + 1, sizeof *view.rows)};

	if (!view.rows)
		return no_memory(err);
	for (size_t i = 0; i < objects->count; i++)
		if (wanted(context, &objects->items[i]))
			view.rows[view.count++] = (struct view_row){
				.object = &objects->items[i], .shown = &objects->items[i]};
	if (order == VIEW_BY_SIZE)
		weigh(&view);
	if (folds && !fold_semaphores(&view)) {
		view_release(&view);
		return no_memory(err);
	}
	if (view.count && order != VIEW_BY_NAME)
		qsort(view.rows, view.count, sizeof *view.rows,
			order == VIEW_BY_SIZE ? by_size : by_age);
	*ret = view;
	return STATUS_OK;
}

void view_release(struct view *view)
{
	for (size_t i = 0; i < view->count; i++)
		if (view->rows[i].folded) {
			free(view->rows[i].folded->name);
			free(view->rows[i].folded);
		}
	free(view->rows);
	*view = (struct view){0};
}

int view_add_unaccounted(struct objects *objects, struct error *err)
{
	uint64_t bytes = tally_of(objects).unaccounted;
	struct object *object = bytes ? objects_add(objects) : NULL;

	if (!bytes)
		return STATUS_OK;
	if (!object)
		return no_memory(err);
	object->type = OBJECT_UNACCOUNTED;
	object->size = object->allocated = bytes;
	object->name = strdup("(unaccounted)");
	object->why = strdup(UNACCOUNTED_WHY);
	return object->name && object->why ? STATUS_OK : no_memory(err);
}
