/* Lists of images that are to be decoded ahead. */
#include "test.h"

#include "server/prefetch_list.h"

#include <stdlib.h>

#define COUNT 4

/* A list of images, all in line for a decoder and early. */
struct scene {
	struct prefetch *prefetches[COUNT];
	struct stored images[COUNT];
	struct job jobs[COUNT];
	struct prefetch_list list;
};

static struct scene *scene_new(void)
{
	struct scene *scene = calloc(1, sizeof *scene);

	assert_non_null(scene);
	for (unsigned i = COUNT; i-- > 0;) {
		struct prefetch *prefetch = calloc(1, sizeof *prefetch);

		assert_non_null(prefetch);
		scene->jobs[i].early = true;
		scene->images[i].job = &scene->jobs[i];
		prefetch->state = PREFETCH_BEGUN;
		prefetch->image = &scene->images[i];
		prefetch->next = scene->list.first;
		scene->list.first = scene->prefetches[i] = prefetch;
	}
	return scene;
}

static void scene_free(struct scene *scene)
{
	for (unsigned i = 0; i < COUNT; i++)
		free(scene->prefetches[i]);
	free(scene);
}

/* With that one in another state, and without an image. */
static void set_state(struct scene *scene, unsigned index, enum prefetch_state state)
{
	scene->prefetches[index]->state = state;
	scene->prefetches[index]->image = NULL;
}

/* How many of the jobs a decoder may take now. */
static unsigned in_order(struct scene *scene)
{
	unsigned count = 0;

	prefetch_in_order(&scene->list);
	for (unsigned i = 0; i < COUNT; i++)
		count += !scene->jobs[i].early;
	return count;
}

static void what_comes_behind_a_file_that_is_being_opened_waits(void **state)
{
	struct scene *scene = scene_new();

	(void)state;
	set_state(scene, 2, PREFETCH_BEGUN);
	assert_int_equal(in_order(scene), 2);
	assert_true(scene->jobs[2].early && scene->jobs[3].early);
	scene->prefetches[2]->image = &scene->images[2];
	assert_int_equal(in_order(scene), COUNT);
	scene_free(scene);
}

static void what_failed_delays_none(void **state)
{
	struct scene *scene = scene_new();

	(void)state;
	set_state(scene, 0, PREFETCH_FAILED);
	assert_int_equal(in_order(scene), COUNT - 1);
	scene_free(scene);
}

static void what_is_listed_again_for_want_of_room_delays_none(void **state)
{
	struct scene *scene = scene_new();

	(void)state;
	set_state(scene, 1, PREFETCH_LISTED);
	assert_int_equal(in_order(scene), COUNT - 1);
	assert_true(scene->jobs[1].early);
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_behind_a_file_that_is_being_opened_waits),
		cmocka_unit_test(what_failed_delays_none),
		cmocka_unit_test(what_is_listed_again_for_want_of_room_delays_none),
	};

	return cmocka_run_group_tests_name("prefetch_list", tests, NULL, NULL);
}
