/* What is stored is found without asking the server, and only while it is what the file says. */
#include "unit/test.h"

#include "base/clock.h"
#include "served/stored.h"
#include "server/internal.h"
#include "unit/image/image_samples.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRESH_NS (300 * NS_PER_MS)

static int set_up(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.fresh_ns = FRESH_NS;
	served_start(&served, &options);
	return 0;
}

static int set_up_small(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.fresh_ns = 60 * NS_PER_SECOND;
	options.cache = 256 << 10;
	served_start(&served, &options);
	return 0;
}

static int set_up_large(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.fresh_ns = 60 * NS_PER_SECOND;
	options.cache = 16 << 20;
	served_start(&served, &options);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return served_stop(&served) ? 0 : -1;
}

static void a_stored_image_is_found_until_it_expires(void **state)
{
	uint64_t begun = clock_now();

	(void)state;
	write_image("a.png", 5);
	assert_false(fetch_found("a.png", 5));
	for (int i = 0; i < 100; i++)
		if (!fetch_found("a.png", 5)) {
			assert_true(clock_now() - begun >= FRESH_NS / 2);
			begun = clock_now();
		}
	/* By another name it is the same image, but that is not known yet. */
	assert_false(fetch_found("a", 5));
	pause_ns(FRESH_NS);
	assert_false(fetch_found("a.png", 5));
	assert_int_equal(served.server->store.ready.count, 1);
}

static void a_changed_file_is_seen_once_its_entry_has_expired(void **state)
{
	(void)state;
	write_image("a.png", 5);
	assert_false(fetch_found("a.png", 5));
	write_image("a.png", 6);
	pause_ns(FRESH_NS);
	assert_false(fetch_found("a.png", 6));
}

/* Asking for another image is enough. */
static void what_changed_is_taken_out_when_the_server_learns_of_it(void **state)
{
	(void)state;
	write_image("a.png", 5);
	write_image("b.png", 7);
	assert_false(fetch_found("a.png", 5));
	assert_false(fetch_found("b.png", 7));
	write_image("a.png", 6);
	write_image("c.png", 8);
	assert_false(fetch_found("c.png", 8));
	assert_false(fetch_found("a.png", 6));
}

static void what_makes_way_is_found_no_more_and_what_is_held_stays(void **state)
{
	struct shmsem_image held;
	struct shmsem_error error;
	uint8_t before;
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < 80; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(name, 5000 + i);
	}
	assert_false(fetch_found("0.png", 5000));
	assert_true(fetch_found("0.png", 5000));
	assert_int_equal(served_fetch(&served, "0.png", &held, &error), 0);
	before = *(const uint8_t *)held.pixels;
	for (uint32_t i = 1; i < 80; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		assert_false(fetch_found(name, 5000 + i));
		assert_true(fetch_found(name, 5000 + i));
	}
	assert_true(served.server->store.evictions > 20);
	assert_int_equal(*(const uint8_t *)held.pixels, before);
	assert_false(fetch_found("1.png", 5001));
	shmsem_release(&held);
	/* Held, it was never given up, though not found meanwhile perhaps. */
	fetch_found("0.png", 5000);
}

/* Each name and each option leads to its image, and none after the image has gone. */
static void one_file_under_many_names_and_options(void **state)
{
	static const char *const names[] = {"a", "a.png"};
	struct shmsem_error error;

	(void)state;
	write_image("a.png", 64);
	for (int round = 0; round < 2; round++) {
		uint64_t asked = requests();

		for (size_t i = 0; i < 2; i++)
			for (uint32_t width = 8; width <= 64; width *= 2) {
				const struct shmsem_request request = {
					.name = names[i], .width = width};
				struct shmsem_image image;

				assert_int_equal(
					shmsem_fetch(served.client, &request, &image, &error), 0);
				assert_int_equal(image.info.width, width);
				shmsem_release(&image);
			}
		assert_int_equal(requests() - asked, round ? 0 : 8);
	}
	write_image("a.png", 128);
	write_image("b.png", 3);
	fetch_found("b.png", 3);
	/* Told by that: all are out. */
	assert_int_equal(served.server->store.index.count, 1);
}

static void the_table_grows(void **state)
{
	uint64_t first = served.server->objects.index.entries, hits;
	char name[32];
	bool done;

	(void)state;
	write_image("0.png", 9);
	for (uint32_t i = 1; i < 2 * first; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(name, 9);
	}
	for (uint32_t i = 0; i < 2 * first; i++) {
		struct error err;

		snprintf(name, sizeof name, "%u.png", i);
		fetch_found(name, 9);
		if (i % 64 == 0)
			assert_int_equal(server_upkeep(served.server, &done, &err), 0);
	}
	assert_true(served.server->objects.index.entries >= 2 * first);
	hits = found();
	for (uint32_t i = 0; i < 2 * first; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		fetch_found(name, 9);
	}
	/* Some have to share their places with too many others. */
	assert_true(found() - hits > 2 * first * 9 / 10);
}

/* As a simulated LRU does it that has room for as many; all images are of one size. */
struct simulated {
	uint32_t order[64]; /* the most recently used one first */
	unsigned count, room, misses;
};

static void simulate(struct simulated *lru, uint32_t image)
{
	unsigned at = 0;

	while (at < lru->count && lru->order[at] != image)
		at++;
	if (at == lru->count) {
		lru->misses++;
		lru->count += lru->count < lru->room;
		at = lru->count - 1;
	}
	memmove(lru->order + 1, lru->order, at * sizeof *lru->order);
	lru->order[0] = image;
}

#define IMAGES 120
#define DRAWS  3000

/* Zipf's law: the k-th of them 1/k as often as the first. */
static uint32_t draw(uint64_t *seed)
{
	double sum = 0, wanted;

	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	for (int i = 0; i < IMAGES; i++)
		sum += 1.0 / (i + 1);
	wanted = (double)(*seed >> 11) / (double)(UINT64_C(1) << 53) * sum;
	for (uint32_t i = 0; i < IMAGES - 1; i++) {
		wanted -= 1.0 / (i + 1);
		if (wanted < 0)
			return i;
	}
	return IMAGES - 1;
}

/* Each is fetched more often than a seat has notes for. */
static void what_is_found_counts_as_used(void **state)
{
	struct simulated lru = {0};
	uint64_t seed = 1, decodes;
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < IMAGES; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(name, 5000 + i);
	}
	for (uint32_t i = 0; i < IMAGES; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		fetch_found(name, 5000 + i);
		if (served.server->store.ready.count > lru.room)
			lru.room = (unsigned)served.server->store.ready.count;
	}
	assert_in_range(lru.room, IMAGES / 12, IMAGES / 8);
	decodes = atomic_load(
		&head_server(&served.server->objects.head)->counters[WIRE_COUNT_DECODES]);
	for (int i = 0; i < DRAWS; i++) {
		uint32_t image = draw(&seed);

		simulate(&lru, image);
		snprintf(name, sizeof name, "%u.png", image);
		for (int again = 0; again <= WIRE_NOTES; again++)
			fetch_found(name, 5000 + image);
	}
	decodes =
		atomic_load(
			&head_server(&served.server->objects.head)->counters[WIRE_COUNT_DECODES]) -
		decodes;
	print_message("%d draws, room for %u of %d: %u misses, %u of a simulated LRU\n", DRAWS,
		lru.room, IMAGES, (unsigned)decodes, lru.misses);
	assert_true(decodes <= lru.misses + DRAWS / 100);
}

/* ---- strictly fresh, by what the kernel notes ---- */

static int set_up_strict(void **state)
{
	struct server_options options = served_options();

	(void)state;
	served_start(&served, &options);
	return 0;
}

static void need_flag(void)
{
	if (!served.server->flags_shared)
		skip(); /* before Linux 6.5, or io_uring is refused */
}

static void one_file_under_many_names_and_options_strictly(void **state)
{
	need_flag();
	one_file_under_many_names_and_options(state);
}

static int set_up_strict_large(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.cache = 16 << 20;
	served_start(&served, &options);
	return 0;
}

static void the_table_grows_strictly(void **state)
{
	need_flag();
	the_table_grows(state);
}

static void append(const char *name)
{
	int fd = open(served_path(&served, name), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void what_happens_to_one_file_leaves_the_others_there(void **state)
{
	char name[32];

	(void)state;
	need_flag();
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(name, 20 + i);
		fetch_found(name, 20 + i);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		append("log");
		snprintf(name, sizeof name, "%u.png", i % 100);
		/* It is the first to see that something happened. */
		assert_false(fetch_found(name, 20 + i % 100));
		assert_true(fetch_found(name, 20 + i % 100));
	}
	assert_int_equal(served.server->store.index.count, 100);
	assert_int_equal(
		atomic_load(
			&head_server(&served.server->objects.head)->counters[WIRE_COUNT_DECODES]),
		100);
}

static void write_plainly(const char *name, uint32_t width)
{
	struct bytes file = make_png(&(struct png_sample){
		.width = width, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});
	int fd = open(served_path(&served, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file.data, file.size), file.size);
	close(fd);
	free(file.data);
}

static void in_place(uint32_t width)
{
	write_plainly("a.png", width);
}

static void through_a_mapping(uint32_t width)
{
	struct bytes file = make_png(&(struct png_sample){
		.width = width, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});
	int fd = open(served_path(&served, "a.png"), O_RDWR | O_CLOEXEC);
	void *memory;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)file.size), 0);
	memory = mmap(NULL, file.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(memory != MAP_FAILED);
	memcpy(memory, file.data, file.size);
	munmap(memory, file.size);
	close(fd);
	free(file.data);
}

static void by_rename(uint32_t width)
{
	write_image("a.png", width);
}

static void by_exchange(uint32_t width)
{
	write_image("b.png", width);
	assert_int_equal(renameat2(AT_FDCWD, served_path(&served, "a.png"), AT_FDCWD,
				 served_path(&served, "b.png"), RENAME_EXCHANGE),
		0);
}

static void by_hard_link(uint32_t width)
{
	write_image("b.png", width);
	assert_int_equal(unlink(served_path(&served, "a.png")), 0);
	assert_int_equal(link(served_path(&served, "b.png"), served_path(&served, "a.png")), 0);
}

static void by_link(uint32_t width)
{
	write_image("b.png", width);
	assert_int_equal(symlink("b.png", served_path(&served, "link")), 0);
	assert_int_equal(rename(served_path(&served, "link"), served_path(&served, "a.png")), 0);
}

static void with_its_times_kept(uint32_t width)
{
	struct stat before;

	assert_int_equal(stat(served_path(&served, "a.png"), &before), 0);
	in_place(width);
	assert_int_equal(utimensat(AT_FDCWD, served_path(&served, "a.png"),
				 (struct timespec[]){before.st_atim, before.st_mtim}, 0),
		0);
}

static void a_change_by_any_means_is_seen_at_once(void **state)
{
	static void (*const means[])(uint32_t width) = {in_place, through_a_mapping, by_rename,
		by_exchange, with_its_times_kept, by_hard_link, in_place, by_rename, by_link};
	uint32_t width = 10;
	int hits = 0;

	(void)state;
	need_flag();
	write_image("a.png", width);
	for (int round = 0; round < 10; round++)
		for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
			fetch_found("a.png", width);
			hits += fetch_found("a.png", width);
			fetch_found("a", width);
			means[i](++width);
			assert_false(fetch_found("a.png", width));
			assert_false(fetch_found("a", width));
		}
	/* All but what has two names or is a link: four a round, and three at first. */
	assert_in_range(hits, 20, 43);
}

static void another_candidate_for_a_name_is_seen_at_once(void **state)
{
	(void)state;
	need_flag();
	write_image("a.png", 5);
	expect_found("a", 5);
	write_image("a.jpg", 6);
	assert_false(fetch_found("a", 6));
	expect_found("a", 6);
	assert_int_equal(unlink(served_path(&served, "a.jpg")), 0);
	assert_false(fetch_found("a", 5));
}

static void a_folder_that_moves_takes_its_images_along(void **state)
{
	(void)state;
	need_flag();
	assert_int_equal(mkdir(served_path(&served, "d"), 0700), 0);
	assert_int_equal(mkdir(served_path(&served, "e"), 0700), 0);
	write_image("d/a.png", 5);
	write_image("e/a.png", 6);
	expect_found("d/a.png", 5);
	expect_found("e/a.png", 6);
	assert_int_equal(renameat2(AT_FDCWD, served_path(&served, "d"), AT_FDCWD,
				 served_path(&served, "e"), RENAME_EXCHANGE),
		0);
	assert_false(fetch_found("d/a.png", 6));
	assert_false(fetch_found("e/a.png", 5));
	unlink(served_path(&served, "d/a.png"));
	unlink(served_path(&served, "e/a.png"));
}

static void a_mount_elsewhere_changes_nothing(void **state)
{
	char elsewhere[] = "/tmp/shmsem-mount-XXXXXX";

	(void)state;
	need_flag();
	assert_non_null(mkdtemp(elsewhere));
	write_image("a.png", 5);
	write_image("b.png", 6);
	expect_found("a.png", 5);
	expect_found("b.png", 6);
	for (int round = 0; round < 3; round++) {
		if (mount("tmpfs", elsewhere, "tmpfs", 0, NULL) != 0) {
			rmdir(elsewhere);
			skip(); /* not root */
		}
		/* It is the first to see that something happened. */
		fetch_found("a.png", 5);
		assert_true(fetch_found("b.png", 6));
		assert_int_equal(umount(elsewhere), 0);
		fetch_found("b.png", 6);
		assert_true(fetch_found("a.png", 5));
	}
	rmdir(elsewhere);
}

static void a_mount_over_a_file_or_its_folder_is_seen_at_once(void **state)
{
	(void)state;
	need_flag();
	assert_int_equal(mkdir(served_path(&served, "d"), 0700), 0);
	write_image("a.png", 5);
	write_image("b.png", 6);
	write_image("d/a.png", 7);
	for (int round = 0; round < 3; round++) {
		expect_found("a.png", 5);
		if (mount(served_path(&served, "b.png"), served_path(&served, "a.png"), NULL,
			    MS_BIND, NULL) != 0)
			skip(); /* not root */
		assert_false(fetch_found("a.png", 6));
		expect_found("b.png", 6);
		assert_int_equal(umount(served_path(&served, "a.png")), 0);
		assert_false(fetch_found("a.png", 5));
		expect_found("d/a.png", 7);
		assert_int_equal(mount("tmpfs", served_path(&served, "d"), "tmpfs", 0, NULL), 0);
		write_plainly("d/a.png", 9);
		assert_false(fetch_found("d/a.png", 9));
		/* The server is told nothing of other file systems, and asks again each time. */
		assert_false(fetch_found("d/a.png", 9));
		assert_int_equal(umount(served_path(&served, "d")), 0);
		expect_found("d/a.png", 7);
	}
	unlink(served_path(&served, "d/a.png"));
}

/* ---- the end of a server ---- */

static void serve_until_killed(const char *folder, int ready)
{
	struct server_options options = served_options();
	struct server *server;
	struct error err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	options.directory = folder;
	if (server_start(&options, &server, &err) || write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* As soon as its process is gone, a file can change and nobody takes note. */
static void a_killed_server_is_not_believed(void **state)
{
	const struct shmsem_connect_options connect = {.name_space = "served"};

	(void)state;
	strcpy(served.folder, "/tmp/shmsem-served.XXXXXX");
	assert_non_null(mkdtemp(served.folder));
	for (int round = 0; round < 20; round++) {
		const struct shmsem_request request = {
			.name = "a.png", .timeout_ns = NS_PER_SECOND};
		int ready[2], status, hits = 0;
		struct shmsem_image image;
		struct shmsem_error error;
		struct shmsem *client;
		pid_t child;
		char byte;

		write_image("a.png", 5);
		assert_int_equal(pipe(ready), 0);
		child = fork();
		if (child == 0)
			serve_until_killed(served.folder, ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		assert_int_equal(shmsem_connect(&client, &connect, &error), 0);
		for (; hits < 1000 + 100 * round; hits++) {
			assert_int_equal(shmsem_fetch(client, &request, &image, &error), 0);
			shmsem_release(&image);
		}
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		/* And before: nothing is found any more. */
		if (round % 2)
			write_image("a.png", 6);
		assert_int_equal(
			shmsem_fetch(client, &request, &image, &error), SHMSEM_UNAVAILABLE);
		shmsem_close(client);
		close(ready[0]);
		close(ready[1]);
	}
	unlink(served_path(&served, "a.png"));
	rmdir(served.folder);
}

/* A child has neither the seat nor the index of its parent. */
static void a_child_is_refused(void **state)
{
	const struct shmsem_request request = {.name = "a.png"};
	struct shmsem_image image;
	struct shmsem_error error;
	pid_t child;
	int status;

	(void)state;
	write_image("a.png", 5);
	fetch_found("a.png", 5);
	child = fork();
	if (child == 0)
		_exit(shmsem_fetch(served.client, &request, &image, &error) == SHMSEM_USAGE ? 0
											    : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fetch_found("a.png", 5);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_stored_image_is_found_until_it_expires, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_changed_file_is_seen_once_its_entry_has_expired, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_changed_is_taken_out_when_the_server_learns_of_it, set_up_large,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_makes_way_is_found_no_more_and_what_is_held_stays, set_up_small,
			tear_down),
		cmocka_unit_test_setup_teardown(
			one_file_under_many_names_and_options, set_up_large, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_found_counts_as_used, set_up_small, tear_down),
		cmocka_unit_test_setup_teardown(the_table_grows, set_up_large, tear_down),
		cmocka_unit_test_setup_teardown(
			what_happens_to_one_file_leaves_the_others_there, set_up_strict, tear_down),
		cmocka_unit_test_setup_teardown(
			one_file_under_many_names_and_options_strictly, set_up_strict, tear_down),
		cmocka_unit_test_setup_teardown(
			the_table_grows_strictly, set_up_strict_large, tear_down),
		cmocka_unit_test_setup_teardown(
			a_change_by_any_means_is_seen_at_once, set_up_strict, tear_down),
		cmocka_unit_test_setup_teardown(
			another_candidate_for_a_name_is_seen_at_once, set_up_strict, tear_down),
		cmocka_unit_test_setup_teardown(
			a_folder_that_moves_takes_its_images_along, set_up_strict, tear_down),
		cmocka_unit_test_setup_teardown(
			a_mount_elsewhere_changes_nothing, set_up_strict, tear_down),
		cmocka_unit_test_setup_teardown(a_mount_over_a_file_or_its_folder_is_seen_at_once,
			set_up_strict, tear_down),
		cmocka_unit_test_setup_teardown(a_child_is_refused, set_up_strict, tear_down),
		cmocka_unit_test(a_killed_server_is_not_believed),
	};

	served_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
