/* The store on a HEAD that nobody else sees: what stays, what goes, and what is never touched. */
#include "test.h"

#include "base/cleanup.h"
#include "server/evict.h"
#include "shm/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEATS    4
#define SEGMENTS 2
#define PAGE     ARENA_PAGE
#define BUDGET   (64 * PAGE)

static const struct access mine = {.mode = 0600, .group = (gid_t)-1};

struct scene {
	struct head head;
	struct segment data[SEGMENTS];
	struct store store;
	int clients[SEATS]; /* open files that hold seats' locks */
	uint64_t inode;     /* of the next image file */
};

static void make_page(const struct head *head, unsigned seat)
{
	struct wire_seat *page = head_seat(head, seat);

	page->magic = WIRE_MAGIC;
	page->version = WIRE_VERSION;
	page->seats = head->seats;
	page->segments = head->segments;
	page->page = WIRE_PAGE;
	page->instance = head->instance;
	head_void_holds(head, seat);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	size_t size = wire_head_size(WIRE_PAGE, SEATS);

	scene->head = HEAD_NONE;
	scene->head.seats = SEATS;
	scene->head.instance = 42;
	scene->head.segments = SEGMENTS;
	assert_int_equal(segment_new(size, size, &mine, &scene->head.segment, NULL), 0);
	for (unsigned seat = 0; seat < SEATS; seat++) {
		char self[32];

		make_page(&scene->head, seat);
		snprintf(self, sizeof self, "/proc/self/fd/%d", scene->head.segment.fd);
		scene->clients[seat] = open(self, O_RDWR | O_CLOEXEC);
		assert_true(scene->clients[seat] >= 0);
	}
	for (unsigned i = 0; i < SEGMENTS; i++)
		assert_int_equal(segment_new(PAGE, 0, &mine, &scene->data[i], NULL), 0);
	assert_int_equal(
		store_init(&scene->store, &scene->head, scene->data, SEGMENTS, BUDGET, NULL), 0);
	store_lock(&scene->store);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	store_unlock(&scene->store);
	store_release(&scene->store);
	for (unsigned i = 0; i < SEGMENTS; i++)
		segment_release(&scene->data[i]);
	for (unsigned seat = 0; seat < SEATS; seat++)
		close(scene->clients[seat]);
	head_release(&scene->head);
	free(scene);
	return 0;
}

static void seat_taken(struct scene *scene, unsigned seat)
{
	assert_int_equal(lock_take(scene->clients[seat], head_seat_lock(&scene->head, seat)), 0);
}

static void hold(struct scene *scene, unsigned seat, unsigned word, const struct stored *image)
{
	head_raise_mark(&scene->head, seat, word);
	atomic_store(head_hold(&scene->head, seat, word), image->number);
}

static struct image_key key_of(uint64_t inode)
{
	return (struct image_key){
		.file = {.device = 1, .inode = inode, .size = 10}, .kind = LINK_DECODE};
}

/* Bytes that the segments really have, as the kernel says. */
static uint64_t really_there(const struct scene *scene)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		struct stat status;

		assert_int_equal(fstat(scene->data[i].fd, &status), 0);
		bytes += (uint64_t)status.st_blocks * 512;
	}
	return bytes;
}

/* Decodes an image of so many pages into a segment; NULL, with *err, if there is no room. */
static struct stored *put_image(
	struct scene *scene, unsigned segment, unsigned pages, struct error *err)
{
	const struct decoded decoded = {
		.total = (uint64_t)pages * PAGE, .info.bytes = pages * PAGE};
	struct image_key key = key_of(++scene->inode);
	struct stored *image = store_add(&scene->store, &key);
	uint64_t backed, used;
	struct extent *extent;

	assert_non_null(image);
	if (store_make_room(&scene->store, segment, decoded.total, false, &extent, err)) {
		store_failed(image, err, false);
		store_settled(&scene->store, image);
		return NULL;
	}
	assert_true(extent->length >= decoded.total);
	store_ready(&scene->store, image, segment, extent, &decoded, 1);
	store_settled(&scene->store, image);
	store_sums(&scene->store, &backed, &used);
	assert_true(used <= backed && backed <= BUDGET);
	assert_true(really_there(scene) <= BUDGET + SEGMENTS * PAGE);
	return image;
}

static struct stored *put(struct scene *scene, unsigned segment, unsigned pages)
{
	struct error err;
	struct stored *image = put_image(scene, segment, pages, &err);

	assert_non_null(image);
	return image;
}

static bool known(const struct scene *scene, uint64_t inode)
{
	struct image_key key = key_of(inode);

	return store_find(&scene->store, &key) != NULL;
}

static void names_lead_to_images_until_they_are_forgotten(void **state)
{
	struct scene *scene = *state;
	const struct watch_token token = {.generation = 2};
	const struct image_options plain = {0}, grey = {.channels = 1};
	struct stored *image = put(scene, 0, 1), *other = put(scene, 0, 1);

	store_name(&scene->store, image, "apple", "apple.jpg", &token, 5);
	store_name(&scene->store, image, "apple.jpg", "apple.jpg", &token, 5);
	assert_ptr_equal(store_alias(&scene->store, "apple", LINK_DECODE, &plain)->image, image);
	assert_string_equal(
		store_alias(&scene->store, "apple", LINK_DECODE, &plain)->path, "apple.jpg");
	assert_null(store_alias(&scene->store, "apple", LINK_DECODE, &grey));
	assert_null(store_alias(&scene->store, "apple", LINK_PROBE, &plain));
	assert_null(store_alias(&scene->store, "appl", LINK_DECODE, &plain));
	/* The file was replaced: the name now means another image, and only that. */
	store_name(&scene->store, other, "apple", "apple.jpg", &token, 6);
	assert_ptr_equal(store_alias(&scene->store, "apple", LINK_DECODE, &plain)->image, other);
	assert_ptr_equal(
		store_alias(&scene->store, "apple.jpg", LINK_DECODE, &plain)->image, image);
	store_forget(&scene->store, image);
	store_forget(&scene->store, image);
	assert_null(store_alias(&scene->store, "apple.jpg", LINK_DECODE, &plain));
	assert_non_null(store_alias(&scene->store, "apple", LINK_DECODE, &plain));
	assert_false(known(scene, 1));
	assert_true(known(scene, 2));
}

static void an_image_has_a_bounded_number_of_names(void **state)
{
	struct scene *scene = *state;
	const struct image_options plain = {0};
	const struct watch_token token = {0};
	struct stored *image = put(scene, 0, 1);
	unsigned found = 0;
	char name[16];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "name%u", i);
		store_name(&scene->store, image, name, name, &token, 1);
	}
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "name%u", i);
		found += store_alias(&scene->store, name, LINK_DECODE, &plain) != NULL;
	}
	assert_true(found >= 1 && found <= 64);
}

static void thousands_of_images_are_all_found(void **state)
{
	struct scene *scene = *state;
	struct error failure;

	error_set(&failure, STATUS_BAD_DATA, "bad");
	for (uint64_t inode = 1; inode <= 3000; inode++) {
		struct image_key key = key_of(inode);
		struct stored *image = store_add(&scene->store, &key);

		store_failed(image, &failure, false);
		store_settled(&scene->store, image);
	}
	for (uint64_t inode = 1; inode <= 3000; inode++)
		assert_true(known(scene, inode));
	assert_false(known(scene, 3001));
}

static void the_least_recently_used_goes_first(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 4; i++)
		put(scene, 0, 16);
	{
		struct image_key first = key_of(1);

		store_touch(&scene->store, store_find(&scene->store, &first));
	}
	put(scene, 0, 16);
	assert_true(known(scene, 1));
	assert_false(known(scene, 2));
	assert_true(known(scene, 3));
	assert_int_equal(scene->store.evictions, 1);
}

static void touch(struct scene *scene, uint64_t inode)
{
	struct image_key key = key_of(inode);

	store_touch(&scene->store, store_find(&scene->store, &key));
}

/* Where one image's room is not enough, those go that make room together, and no others. */
static void of_neighbours_with_enough_room_those_used_longest_ago_are_evicted(void **state)
{
	static const uint64_t order[] = {1, 5, 3, 7, 8, 2, 4, 6};
	struct scene *scene = *state;

	for (int i = 0; i < 8; i++)
		put(scene, 0, 8);
	for (int i = 0; i < 8; i++)
		touch(scene, order[i]);
	put(scene, 0, 16);
	for (uint64_t inode = 1; inode <= 8; inode++)
		assert_int_equal(known(scene, inode), inode < 7);
	assert_int_equal(scene->store.evictions, 2);
}

static unsigned looks;

bool __real_arena_plan_add(struct arena *arena, struct extent *extent, uint64_t length,
	uint64_t spare, struct extent **ret_first);
bool __wrap_arena_plan_add(struct arena *arena, struct extent *extent, uint64_t length,
	uint64_t spare, struct extent **ret_first);

bool __wrap_arena_plan_add(struct arena *arena, struct extent *extent, uint64_t length,
	uint64_t spare, struct extent **ret_first)
{
	looks++;
	return __real_arena_plan_add(arena, extent, length, spare, ret_first);
}

/* However many there are: hits stand still as long as that takes. */
static void what_is_to_go_is_found_by_looking_at_nothing_that_was_used_later(void **state)
{
	struct scene *scene = *state;

	looks = 0;
	for (int i = 0; i < 64; i++)
		put(scene, 0, 1);
	assert_int_equal(looks, 0);
	put(scene, 0, 1);
	assert_int_equal(looks, 1);
	put(scene, 0, 5);
	assert_int_equal(looks, 1 + 5);
	for (uint64_t inode = 1; inode <= 64; inode++)
		assert_int_equal(known(scene, inode), inode > 6);
}

static void a_decode_goes_to_where_lies_what_was_used_longest_ago(void **state)
{
	static const bool both[SEGMENTS] = {true, true}, none[SEGMENTS], first[SEGMENTS] = {true};
	struct scene *scene = *state;
	const struct store *store = &scene->store;

	assert_int_equal(evict_choose_segment(store, both), -1);
	assert_int_equal(evict_choose_segment(store, none), 0);
	for (int i = 0; i < 16; i++) {
		/* Nothing has to make way: they grow alike. */
		assert_int_equal(evict_choose_segment(store, none), i % SEGMENTS);
		assert_int_equal(evict_choose_segment(store, first), 1);
		put(scene, (unsigned)i % SEGMENTS, 4);
	}
	touch(scene, 3);
	for (int i = 0; i < 100; i++) {
		put(scene, (unsigned)evict_choose_segment(store, none), 4);
		touch(scene, 3);
	}
	for (uint64_t inode = 1; inode <= 16; inode++)
		assert_int_equal(known(scene, inode), inode == 3);
	assert_int_equal(store->ready.count, 16);
	assert_int_equal(evict_choose_segment(store, first), 1);
	assert_int_equal(evict_choose_segment(store, both), -1);
}

/* Even if all of the budget has gone to others, and none of them has an image any more. */
static void a_segment_gets_room_that_others_have_and_do_not_use(void **state)
{
	struct scene *scene = *state;

	store_forget(&scene->store, put(scene, 0, 64));
	put(scene, 1, 64);
	store_discard(&scene->store, scene->store.ready.newest);
	put(scene, 0, 64);
}

/* Whatever is held: who is refused could not have been served. */
static void only_what_is_held_can_be_in_the_way(void **state)
{
	struct scene *scene = *state;
	uint64_t held[SEATS] = {0};
	unsigned pages[SEATS] = {0}, refused = 0;
	uint32_t chance = 1;

	for (unsigned seat = 0; seat < SEATS; seat++)
		seat_taken(scene, seat);
	for (int i = 0; i < 20000; i++) {
		unsigned wanted, sum = 0, seat;
		struct stored *image;
		struct error err;

		chance = chance * 1664525 + 1013904223; /* Numerical Recipes' generator */
		wanted = 1 + (chance >> 16) % 24;
		seat = (chance >> 8) % SEATS;
		image = put_image(scene, (chance >> 24) % SEGMENTS, wanted, &err);
		for (unsigned k = 0; k < SEATS; k++) {
			sum += pages[k];
			assert_true(!held[k] || known(scene, held[k]));
		}
		if (!image) {
			/* Too much is held, or leaves only gaps (five at most) that are too short.
			 */
			assert_true(sum + wanted > 64 || sum + 5 * (wanted - 1) >= 64);
			refused++;
			image = scene->store.ready.newest;
		}
		held[seat] = image->key.file.inode;
		pages[seat] = (unsigned)(image->decoded.total / PAGE);
		hold(scene, seat, 0, image);
	}
	assert_true(refused < 10000);
}

static unsigned asked_for_holds;

bool __real_held_contains(const struct held *held, uint64_t number);
bool __wrap_held_contains(const struct held *held, uint64_t number);

bool __wrap_held_contains(const struct held *held, uint64_t number)
{
	asked_for_holds++;
	return __real_held_contains(held, number);
}

/* Whether a name leads to them or not: each is seen to be held once in a while, not each time. */
static void held_images_do_not_slow_eviction_down(void **state)
{
	struct scene *scene = *state;

	seat_taken(scene, 0);
	for (unsigned i = 0; i < 48; i++) {
		struct stored *image = put(scene, i % SEGMENTS, 1);

		hold(scene, 0, i, image);
		if (i % 4 == 0)
			store_forget(&scene->store, image);
	}
	for (int i = 0; i < 16; i++)
		put(scene, (unsigned)i % SEGMENTS, 1);
	put(scene, 0, 1);
	asked_for_holds = 0;
	for (int i = 0; i < 1600; i++)
		put(scene, (unsigned)i % SEGMENTS, 1);
	/* 12 of them without a name, and once in 16 evictions the 36 others. */
	assert_true(asked_for_holds <= 1600 * (1 + 12 + 36 / 16 + 1));
	for (unsigned i = 0; i < 48; i++)
		assert_int_equal(known(scene, i + 1), i % 4 != 0);
}

/* As a camera's pictures are, that are renamed over one name: the live stills beside stay. */
static void a_version_that_no_name_leads_to_any_more_makes_way_first(void **state)
{
	const struct watch_token token = {.generation = 2};
	static const bool none[SEGMENTS];
	struct scene *scene = *state;
	char name[16];

	for (int i = 0; i < 40; i++) {
		struct stored *still = put(scene, (unsigned)i % SEGMENTS, 1);

		snprintf(name, sizeof name, "still%d", i);
		store_name(&scene->store, still, name, name, &token, 1);
	}
	seat_taken(scene, 0);
	for (int i = 0; i < 100; i++) {
		int segment = evict_choose_segment(&scene->store, none);
		struct stored *frame = put(scene, (unsigned)segment, 5);

		store_name(&scene->store, frame, "frame", "frame", &token, 1);
		/* Somebody looks at it for a while. */
		hold(scene, 0, (unsigned)i % 2, frame);
	}
	for (uint64_t inode = 1; inode <= 40; inode++)
		assert_true(known(scene, inode));
}

static void held_images_are_never_evicted_or_moved(void **state)
{
	struct scene *scene = *state;
	struct stored *held = put(scene, 0, 16);
	uint64_t offset = held->extent->offset, number = held->number;
	struct error err;

	seat_taken(scene, 1);
	hold(scene, 1, 7, held);
	for (int i = 0; i < 200; i++)
		put(scene, (unsigned)i % SEGMENTS, 1 + (unsigned)i * 7 % 24);
	assert_true(known(scene, 1));
	assert_int_equal(held->extent->offset, offset);
	assert_int_equal(held->number, number);
	assert_null(put_image(scene, 1, 49, &err));
	assert_int_equal(err.status, STATUS_TRY_AGAIN);
	assert_true(known(scene, 1));
	assert_non_null(put_image(scene, 0, 48, &err));
	/* Let go, it is like any other. */
	atomic_store(head_hold(&scene->head, 1, 7), 0);
	assert_non_null(put_image(scene, 1, 64, &err));
	assert_false(known(scene, 1));
}

static void a_dead_clients_holds_are_void(void **state)
{
	struct scene *scene = *state;
	struct error err;

	seat_taken(scene, 2);
	hold(scene, 2, 0, put(scene, 0, 40));
	assert_null(put_image(scene, 0, 40, &err));
	close(scene->clients[2]);
	assert_non_null(put_image(scene, 0, 40, &err));
	assert_false(known(scene, 1));
	scene->clients[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void forgotten_images_stay_while_held_and_go_after(void **state)
{
	struct scene *scene = *state;
	struct stored *image = put(scene, 0, 40);
	uint64_t backed, used;
	struct error err;

	seat_taken(scene, 0);
	hold(scene, 0, 0, image);
	store_forget(&scene->store, image);
	assert_false(known(scene, 1));
	assert_null(put_image(scene, 0, 40, &err));
	atomic_store(head_hold(&scene->head, 0, 0), 0);
	put(scene, 0, 40);
	store_sums(&scene->store, &backed, &used);
	assert_int_equal(used, 40 * PAGE);
}

/* HEAD truncated, or overwritten: what its hold words said is known to nobody. */
static void a_seat_with_a_damaged_page_of_holds_holds_everything(void **state)
{
	struct scene *scene = *state;
	struct error err;

	for (unsigned page = 0; page < wire_hold_pages(WIRE_PAGE); page++) {
		seat_taken(scene, 3);
		assert_non_null(put_image(scene, 0, 40, &err));
		memset(head_hold_page(&scene->head, 3, page), 0, WIRE_PAGE);
		assert_null(put_image(scene, 0, 40, &err));
		assert_int_equal(err.status, STATUS_TRY_AGAIN);
		/* Until the holder of the seat gives it back. */
		assert_int_equal(lock_drop(scene->clients[3], head_seat_lock(&scene->head, 3)), 0);
		assert_non_null(put_image(scene, 0, 40, &err));
		/* The next one makes the holds its own. */
		seat_taken(scene, 3);
		head_void_holds(&scene->head, 3);
		assert_non_null(put_image(scene, 0, 40, &err));
		lock_drop(scene->clients[3], head_seat_lock(&scene->head, 3));
	}
}

/* The last hold of all, on the last page. */
static void every_hold_word_counts(void **state)
{
	struct scene *scene = *state;
	struct error err;

	seat_taken(scene, 3);
	hold(scene, 3, WIRE_HOLDS - 1, put(scene, 0, 40));
	assert_null(put_image(scene, 0, 40, &err));
	atomic_store(head_hold(&scene->head, 3, WIRE_HOLDS - 1), 0);
	assert_non_null(put_image(scene, 0, 40, &err));
}

static void no_room_says_what_is_needed_held_and_allowed(void **state)
{
	struct scene *scene = *state;
	struct error err = {0};

	seat_taken(scene, 0);
	hold(scene, 0, 0, put(scene, 0, 40));
	assert_null(put_image(scene, 1, 30, &err));
	assert_int_equal(err.status, STATUS_TRY_AGAIN);
	assert_non_null(strstr(err.text, "120K needed"));
	assert_non_null(strstr(err.text, "160K held"));
	assert_non_null(strstr(err.text, "256K allowed"));
	assert_null(put_image(scene, 1, 65, &err));
	assert_int_equal(err.status, STATUS_BAD_DATA);
	assert_non_null(strstr(err.text, "260K needed"));
	assert_non_null(strstr(err.text, "256K allowed"));
	assert_int_equal(scene->store.refusals, 1);
}

static void backed_room_of_other_segments_is_given_back_within_the_budget(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 4; i++)
		put(scene, 0, 16);
	put(scene, 1, 64);
	assert_true(really_there(scene) <= BUDGET + SEGMENTS * PAGE);
	for (uint64_t inode = 1; inode <= 4; inode++)
		assert_false(known(scene, inode));
	put(scene, 0, 64);
	assert_false(known(scene, 5));
}

static void failures_are_remembered_but_what_may_pass_is_not(void **state)
{
	struct scene *scene = *state;
	struct image_key bad = key_of(100), passing = key_of(101);
	struct stored *image = store_add(&scene->store, &bad);
	struct error failure;

	error_set(&failure, STATUS_BAD_DATA, "broken");
	store_failed(image, &failure, false);
	store_settled(&scene->store, image);
	assert_string_equal(store_find(&scene->store, &bad)->failure.text, "broken");
	image = store_add(&scene->store, &passing);
	error_set(&failure, STATUS_TRY_AGAIN, "no room");
	store_failed(image, &failure, false);
	store_settled(&scene->store, image);
	assert_null(store_find(&scene->store, &passing));
}

static void the_memory_of_failures_is_bounded_and_spares_what_is_being_decoded(void **state)
{
	struct scene *scene = *state;
	struct image_key first = key_of(1);
	struct error failure;

	error_set(&failure, STATUS_BAD_DATA, "broken");
	store_add(&scene->store, &first);
	for (uint64_t inode = 2; inode < 20000; inode++) {
		struct image_key key = key_of(inode);
		struct stored *image = store_add(&scene->store, &key);

		store_failed(image, &failure, false);
		store_settled(&scene->store, image);
	}
	assert_true(scene->store.negative.count <= 5000);
	assert_true(known(scene, 1));
	assert_true(known(scene, 19999));
	assert_false(known(scene, 2));
}

static void a_cut_segment_is_whole_again_within_the_budget_and_its_images_gone(void **state)
{
	struct scene *scene = *state;
	uint64_t before;

	for (int i = 0; i < 4; i++)
		put(scene, 0, 12);
	put(scene, 1, 48); /* punches out what three of the four had */
	put(scene, 0, 4);
	before = really_there(scene);
	assert_int_equal(store_check_segments(&scene->store), 0);
	assert_int_equal(ftruncate(scene->data[0].fd, PAGE), 0);
	assert_int_equal(store_check_segments(&scene->store), 2);
	store_mend(&scene->store);
	assert_int_equal(scene->store.truncations[0], 1);
	assert_int_equal(scene->store.truncations[1], 0);
	assert_true(really_there(scene) <= before);
	assert_false(known(scene, 4));
	assert_false(known(scene, 6));
	assert_true(known(scene, 5));
	assert_int_equal(store_check_segments(&scene->store), 0);
	put(scene, 0, 16);
	put(scene, 0, 64);
}

/* The room that was offered for an icon is given back but for what it needed. */
/* Cut off by this many bytes by somebody who comes in between when a segment grows. */
static off_t cut_before_growth;

int __real_posix_fallocate64(int fd, off_t offset, off_t length);
int __wrap_posix_fallocate64(int fd, off_t offset, off_t length);

/* What takes long is done without the store's lock; how often. */
static struct store *watched_store;
static unsigned calls_without_lock;

static void check_lock(void)
{
	if (!watched_store)
		return;
	assert_int_equal(pthread_mutex_trylock(&watched_store->lock), 0);
	store_unlock(watched_store);
	calls_without_lock++;
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t length);

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t length)
{
	check_lock();
	return __real_fallocate64(fd, mode, offset, length);
}

int __wrap_posix_fallocate64(int fd, off_t offset, off_t length)
{
	struct stat status;

	check_lock();
	if (cut_before_growth) {
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal(ftruncate(fd, status.st_size - cut_before_growth), 0);
		cut_before_growth = 0;
	}
	return __real_posix_fallocate64(fd, offset, length);
}

static void memory_is_taken_and_given_back_without_the_lock(void **state)
{
	struct scene *scene = *state;
	struct extent *extent;

	watched_store = &scene->store;
	for (int i = 0; i < 4; i++)
		put(scene, 0, 16);
	assert_int_equal(calls_without_lock, 4);
	/* Taken from the other segment, in one piece. */
	assert_null(store_claim_backed(&scene->store, 1, 64 * PAGE, false));
	put(scene, 1, 64);
	assert_int_equal(calls_without_lock, 4 + 2);
	assert_int_equal(ftruncate(scene->data[1].fd, PAGE), 0);
	assert_int_equal(store_check_segments(&scene->store), 1);
	assert_null(store_claim_backed(&scene->store, 1, PAGE, false));
	store_mend(&scene->store);
	assert_int_equal(calls_without_lock, 4 + 2 + 1);
	/* What exists is had without a call. */
	extent = store_claim_backed(&scene->store, 1, 8 * PAGE, false);
	assert_non_null(extent);
	assert_int_equal(calls_without_lock, 4 + 2 + 1);
	watched_store = NULL;
}

static void a_segment_that_is_cut_off_while_it_grows_is_found_so(void **state)
{
	static const off_t truncations[] = {1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE};
	struct scene *scene = *state;

	/* What is held is not used again instead of growing. */
	seat_taken(scene, 0);
	for (unsigned i = 0; i < sizeof truncations / sizeof truncations[0]; i++) {
		struct stored *image = put(scene, 0, 3);
		off_t end = (off_t)(image->extent->offset + image->extent->length);
		uint64_t inode = scene->inode;
		char byte = 0;

		assert_int_equal(pwrite(scene->data[0].fd, "x", 1, end - 1), 1);
		hold(scene, 0, 2 * i, image);
		cut_before_growth = truncations[i];
		hold(scene, 0, 2 * i + 1, put(scene, 0, 3));
		assert_int_equal(cut_before_growth, 0);
		assert_int_equal(pread(scene->data[0].fd, &byte, 1, end - 1), 1);
		assert_int_equal(byte, 0);
		assert_int_equal(scene->store.truncations[0], i + 1);
		assert_int_equal(atomic_load(&head_server(&scene->head)->truncations), i + 2);
		assert_false(known(scene, inode));
	}
}

static void spare_room_is_backed_and_trimmed(void **state)
{
	struct scene *scene = *state;
	const struct decoded decoded = {.total = 100, .info.bytes = 100};
	struct image_key key = key_of(50);
	struct stored *image;
	struct extent *extent;
	uint64_t backed, used;

	assert_null(store_spare_room(&scene->store, 0, 16 * PAGE));
	put(scene, 0, 32);
	put(scene, 0, 64);
	assert_null(store_spare_room(&scene->store, 0, 16 * PAGE));
	put(scene, 0, 8);
	extent = store_spare_room(&scene->store, 0, 16 * PAGE);
	assert_int_equal(extent->length, 16 * PAGE);
	image = store_add(&scene->store, &key);
	store_ready(&scene->store, image, 0, extent, &decoded, 1);
	store_sums(&scene->store, &backed, &used);
	assert_int_equal(used, 9 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(names_lead_to_images_until_they_are_forgotten),
		TEST(an_image_has_a_bounded_number_of_names),
		TEST(thousands_of_images_are_all_found),
		TEST(the_least_recently_used_goes_first),
		TEST(of_neighbours_with_enough_room_those_used_longest_ago_are_evicted),
		TEST(what_is_to_go_is_found_by_looking_at_nothing_that_was_used_later),
		TEST(a_decode_goes_to_where_lies_what_was_used_longest_ago),
		TEST(a_segment_gets_room_that_others_have_and_do_not_use),
		TEST(only_what_is_held_can_be_in_the_way),
		TEST(held_images_do_not_slow_eviction_down),
		TEST(a_version_that_no_name_leads_to_any_more_makes_way_first),
		TEST(held_images_are_never_evicted_or_moved),
		TEST(a_dead_clients_holds_are_void),
		TEST(forgotten_images_stay_while_held_and_go_after),
		TEST(every_hold_word_counts),
		TEST(a_seat_with_a_damaged_page_of_holds_holds_everything),
		TEST(no_room_says_what_is_needed_held_and_allowed),
		TEST(backed_room_of_other_segments_is_given_back_within_the_budget),
		TEST(failures_are_remembered_but_what_may_pass_is_not),
		TEST(the_memory_of_failures_is_bounded_and_spares_what_is_being_decoded),
		TEST(a_cut_segment_is_whole_again_within_the_budget_and_its_images_gone),
		TEST(memory_is_taken_and_given_back_without_the_lock),
		TEST(a_segment_that_is_cut_off_while_it_grows_is_found_so),
		TEST(spare_room_is_backed_and_trimmed),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
