/* Placement against a model that is nothing but a row of pages. */
#include "test.h"

#include "base/arena.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define PAGES      96
#define OPERATIONS 1000000

struct model {
	uint8_t pages[PAGES]; /* enum extent_kind of each */
	struct extent *used[PAGES];
	unsigned used_count;
};

static uint64_t random_state = 1;

/* xorshift64 (Marsaglia). */
static unsigned random_below(unsigned limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 16) % limit);
}

static void paint(struct model *model, uint64_t offset, uint64_t length, enum extent_kind kind)
{
	assert_int_equal(offset % ARENA_PAGE, 0);
	assert_int_equal(length % ARENA_PAGE, 0);
	assert_true(offset + length <= PAGES * ARENA_PAGE);
	memset(model->pages + offset / ARENA_PAGE, (int)kind, length / ARENA_PAGE);
}

/* Every page once, in order, as the model has it; no two free neighbours of a kind; right sums. */
static void check(const struct arena *arena, const struct model *model)
{
	const struct extent *before = NULL;
	uint64_t at = 0, used = 0, backed = 0;
	int free_count = 0;

	for (const struct extent *extent = arena->first; extent; extent = extent->after) {
		assert_int_equal(extent->offset, at);
		assert_true(extent->length > 0);
		assert_ptr_equal(extent->before, before);
		if (before && before->kind == extent->kind)
			assert_int_equal(extent->kind, EXTENT_USED);
		for (uint64_t page = 0; page < extent->length / ARENA_PAGE; page++)
			assert_int_equal(
				model->pages[extent->offset / ARENA_PAGE + page], extent->kind);
		free_count += extent->kind != EXTENT_USED;
		used += extent->kind == EXTENT_USED ? extent->length : 0;
		backed += extent->kind != EXTENT_HOLE ? extent->length : 0;
		at += extent->length;
		before = extent;
	}
	for (const struct extent *extent = arena->free; extent; extent = extent->free_after) {
		assert_int_not_equal(extent->kind, EXTENT_USED);
		assert_true(!extent->free_after || extent->free_after->free_before == extent);
		free_count--;
	}
	assert_int_equal(free_count, 0);
	assert_int_equal(at, PAGES * ARENA_PAGE);
	assert_int_equal(arena->used, used);
	assert_int_equal(arena->backed, backed);
}

/* The fewest pages in holes of any room for `length` that begins where an extent does. */
static uint64_t model_find(const struct arena *arena, const struct model *model, uint64_t length)
{
	uint64_t best = UINT64_MAX;

	for (const struct extent *extent = arena->first; extent; extent = extent->after) {
		size_t page = extent->offset / ARENA_PAGE, pages = length / ARENA_PAGE, i = 0;
		uint64_t holes = 0;

		while (i < pages && page + i < PAGES && model->pages[page + i] != EXTENT_USED)
			holes += model->pages[page + i++] == EXTENT_HOLE ? ARENA_PAGE : 0;
		if (i == pages && holes < best)
			best = holes;
	}
	return best;
}

static bool named(const struct extent *extent, struct extent *const *names, unsigned count)
{
	while (count && names[count - 1] != extent)
		count--;
	return count;
}

/* Of all rooms for `length` that begin where an extent does, with the named ones gone: the fewest
 * bytes that would have to go. */
static uint64_t model_fewest(const struct arena *arena, uint64_t length, uint64_t spare,
	struct extent *const *names, unsigned count)
{
	uint64_t fewest = UINT64_MAX;

	for (const struct extent *first = arena->first; first; first = first->after) {
		uint64_t run = 0, used = 0, holes = 0;

		for (const struct extent *at = first; at && run < length; at = at->after) {
			uint64_t take = at->length < length - run ? at->length : length - run;

			if (at->kind == EXTENT_USED && !named(at, names, count))
				break;
			run += take;
			used += at->kind == EXTENT_USED ? at->length : 0;
			holes += at->kind == EXTENT_HOLE ? take : 0;
		}
		if (run == length && holes <= spare && used < fewest)
			fewest = used;
	}
	return fewest;
}

/* The model knows what would be free before the last one was named, and what is then. */
static void check_found(const struct arena *arena, uint64_t length, uint64_t spare,
	struct extent *const *names, unsigned count, const struct extent *first)
{
	uint64_t fewest = model_fewest(arena, length, spare, names, count);
	uint64_t run = 0, used = 0, holes = 0;
	bool exact = !spare || spare == UINT64_MAX;

	for (const struct extent *at = first; run < length; at = at->after) {
		uint64_t take;

		assert_non_null(at);
		take = at->length < length - run ? at->length : length - run;
		assert_true(at->kind != EXTENT_USED || named(at, names, count));
		run += take;
		used += at->kind == EXTENT_USED ? at->length : 0;
		holes += at->kind == EXTENT_HOLE ? take : 0;
	}
	assert_true(holes <= spare);
	assert_true(used == fewest || (used > fewest && !exact));
	if (exact)
		assert_int_equal(model_fewest(arena, length, spare, names, count - 1), UINT64_MAX);
}

static void name_one_after_the_other(struct arena *arena, const struct model *model)
{
	uint64_t length = (1 + random_below(PAGES / 3)) * ARENA_PAGE;
	uint64_t spare = random_below(2) ? 0 : random_below(2) ? UINT64_MAX : length / 2;
	struct extent *names[PAGES], *first;

	if (model_fewest(arena, length, spare, NULL, 0) != UINT64_MAX)
		return; /* there is room as it is */
	memcpy(names, model->used, sizeof names);
	arena_plan_begin(arena);
	for (unsigned count = 1; count <= model->used_count; count++) {
		unsigned other = count - 1 + random_below(model->used_count - count + 1);
		struct extent *next = names[other];

		names[other] = names[count - 1];
		names[count - 1] = next;
		if (arena_plan_add(arena, next, length, spare, &first)) {
			check_found(arena, length, spare, names, count, first);
			return;
		}
	}
	if (!spare || spare == UINT64_MAX)
		assert_int_equal(
			model_fewest(arena, length, spare, names, model->used_count), UINT64_MAX);
}

static void take_some(struct arena *arena, struct model *model)
{
	uint64_t length = (1 + random_below(random_below(4) ? 6 : PAGES)) * ARENA_PAGE, holes;
	struct extent *extent, *first;

	holes = arena_find(arena, length, &first);
	assert_int_equal(holes, model_find(arena, model, length));
	if (holes == UINT64_MAX)
		return;
	extent = arena_take(arena, first, length);
	assert_non_null(extent);
	assert_int_equal(extent->length, length);
	assert_int_equal(extent->kind, EXTENT_USED);
	for (size_t page = 0; page < length / ARENA_PAGE; page++)
		assert_int_not_equal(model->pages[extent->offset / ARENA_PAGE + page], EXTENT_USED);
	paint(model, extent->offset, length, EXTENT_USED);
	model->used[model->used_count++] = extent;
}

static void give_one(struct arena *arena, struct model *model)
{
	unsigned which = model->used_count ? random_below(model->used_count) : 0;

	if (!model->used_count)
		return;
	paint(model, model->used[which]->offset, model->used[which]->length, EXTENT_BACKED);
	arena_give(arena, model->used[which]);
	model->used[which] = model->used[--model->used_count];
}

static void trim_one(struct arena *arena, struct model *model)
{
	struct extent *extent = model->used_count ? model->used[random_below(model->used_count)]
						  : NULL;
	uint64_t keep;

	if (!extent)
		return;
	keep = (1 + random_below((unsigned)(extent->length / ARENA_PAGE))) * ARENA_PAGE;
	paint(model, extent->offset + keep, extent->length - keep, EXTENT_BACKED);
	arena_trim(arena, extent, keep);
	assert_int_equal(extent->length, keep);
}

static void punch_one(struct arena *arena, struct model *model)
{
	struct extent *backed = random_below(2) ? arena_longest_backed(arena)
						: arena_any_backed(arena);

	if (!backed) {
		assert_null(memchr(model->pages, EXTENT_BACKED, PAGES));
		return;
	}
	assert_int_equal(backed->kind, EXTENT_BACKED);
	paint(model, backed->offset, backed->length, EXTENT_HOLE);
	arena_give_hole(arena, arena_take(arena, backed, backed->length));
}

static void a_million_random_operations_match_the_model(void **state)
{
	struct model model = {0};
	struct arena arena;

	(void)state;
	memset(model.pages, EXTENT_HOLE, PAGES);
	assert_true(arena_init(&arena, PAGES * ARENA_PAGE));
	for (unsigned i = 0; i < OPERATIONS; i++) {
		unsigned choice = random_below(16);

		if (choice < 7)
			take_some(&arena, &model);
		else if (choice < 12)
			give_one(&arena, &model);
		else if (choice < 14)
			trim_one(&arena, &model);
		else
			punch_one(&arena, &model);
		if (random_below(8) == 0)
			name_one_after_the_other(&arena, &model);
		check(&arena, &model);
	}
	while (model.used_count)
		give_one(&arena, &model);
	while (arena_any_backed(&arena))
		punch_one(&arena, &model);
	check(&arena, &model);
	assert_null(arena.first->after);
	arena_release(&arena);
}

static void the_longest_backed_room_is_found(void **state)
{
	struct extent *first, *a, *b, *c;
	struct arena arena;

	(void)state;
	assert_true(arena_init(&arena, 16 * ARENA_PAGE));
	assert_null(arena_longest_backed(&arena));
	assert_int_equal(arena_find(&arena, 2 * ARENA_PAGE, &first), 2 * ARENA_PAGE);
	a = arena_take(&arena, first, 2 * ARENA_PAGE);
	arena_find(&arena, ARENA_PAGE, &first);
	b = arena_take(&arena, first, ARENA_PAGE);
	arena_find(&arena, 5 * ARENA_PAGE, &first);
	c = arena_take(&arena, first, 5 * ARENA_PAGE);
	arena_give(&arena, a);
	assert_int_equal(arena_longest_backed(&arena)->length, 2 * ARENA_PAGE);
	arena_give(&arena, c);
	assert_int_equal(arena_longest_backed(&arena)->length, 5 * ARENA_PAGE);
	/* Warm neighbours become one. */
	arena_give(&arena, b);
	assert_int_equal(arena_longest_backed(&arena)->length, 8 * ARENA_PAGE);
	assert_int_equal(arena_find(&arena, 8 * ARENA_PAGE, &first), 0);
	assert_int_equal(arena_find(&arena, 17 * ARENA_PAGE, &first), UINT64_MAX);
	arena_release(&arena);
}

static uint64_t processor_time(void)
{
	struct timespec used;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
	return (uint64_t)used.tv_sec * NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

/* Pages that are backed and holes by turns are as many extents as there can be. */
static void a_look_for_room_takes_one_walk_however_it_is_cut_up(void **state)
{
	enum {
		EXTENTS = 200000
	};
	struct extent **taken = calloc(EXTENTS, sizeof *taken), *first = NULL;
	uint64_t start, holes;
	struct arena arena;

	(void)state;
	assert_non_null(taken);
	assert_true(arena_init(&arena, (uint64_t)EXTENTS * ARENA_PAGE));
	for (size_t i = 0; i < EXTENTS; i++) {
		taken[i] = arena_take(&arena, i ? taken[i - 1]->after : arena.first, ARENA_PAGE);
		assert_non_null(taken[i]);
	}
	for (size_t i = 0; i < EXTENTS; i += 2) {
		arena_give_hole(&arena, taken[i]);
	}
	for (size_t i = 1; i < EXTENTS; i += 2)
		arena_give(&arena, taken[i]);
	start = processor_time();
	holes = arena_find(&arena, (uint64_t)EXTENTS / 2 * ARENA_PAGE, &first);
	assert_true(processor_time() - start < NS_PER_SECOND);
	assert_int_equal(holes, (uint64_t)EXTENTS / 4 * ARENA_PAGE);
	assert_ptr_equal(first, arena.first);
	arena_release(&arena);
	free(taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_random_operations_match_the_model),
		cmocka_unit_test(the_longest_backed_room_is_found),
		cmocka_unit_test(a_look_for_room_takes_one_walk_however_it_is_cut_up),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
