/* Without --fresh, what is stored is found without asking the server until the kernel notes a change,
 * which it does in the moment in which it happens. Skipped where it has no such thing. */
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
#include <unistd.h>

static int set_up_large(void **state)
{
	struct server_options options = served_options();

	(void)state;
	options.cache = 16 << 20;
	served_start(&served, &options);
	return 0;
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
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%u.png", i);
		write_image(name, 20 + i);
		fetch_found(name, 20 + i);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "log%u", i);
		append(name);
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

/* A log, a recording: whatever is written to it, images beside it are found without the server. */
static void a_file_that_grows_disturbs_nobody(void **state)
{
	(void)state;
	append("log");
	write_image("a.png", 5);
	expect_found("a.png", 5);
	for (int i = 0; i < 1000; i++) {
		append("log");
		assert_true(fetch_found("a.png", 5));
	}
	/* One that is an image, too, by its name. */
	append("b.png");
	expect_found("a.png", 5);
	append("b.png");
	assert_true(fetch_found("a.png", 5));
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

/* Nothing in the served folders tells of a change through the other name, or of another target. */
static void what_has_several_names_or_is_a_link_is_asked_for_each_time(void **state)
{
	(void)state;
	assert_int_equal(mkdir(served_path(&served, "d"), 0700), 0);
	write_image("a.png", 5);
	expect_found("a.png", 5);
	assert_int_equal(symlink("a.png", served_path(&served, "soft.png")), 0);
	assert_int_equal(symlink(".", served_path(&served, "d/up")), 0);
	write_image("d/b.png", 6);
	for (int i = 0; i < 5; i++) {
		assert_false(fetch_found("soft.png", 5));
		assert_false(fetch_found("d/up/b.png", 6));
	}
	/* What they lead to is found by its own name still. */
	expect_found("a.png", 5);
	expect_found("d/b.png", 6);
	assert_int_equal(
		link(served_path(&served, "a.png"), served_path(&served, "d/hard.png")), 0);
	for (int i = 0; i < 5; i++) {
		assert_false(fetch_found("a.png", 5));
		assert_false(fetch_found("d/hard.png", 5));
	}
	assert_int_equal(unlink(served_path(&served, "d/hard.png")), 0);
	expect_found("a.png", 5);
	for (int i = 0; i < 5; i++)
		assert_false(fetch_found("soft.png", 5));
	unlink(served_path(&served, "soft.png"));
	unlink(served_path(&served, "d/up"));
	unlink(served_path(&served, "d/b.png"));
}

static void another_candidate_for_a_name_is_seen_at_once(void **state)
{
	(void)state;
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
	assert_non_null(mkdtemp(elsewhere));
	write_image("a.png", 5);
	write_image("b.png", 6);
	expect_found("a.png", 5);
	expect_found("b.png", 6);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(mount("tmpfs", elsewhere, "tmpfs", 0, NULL), 0);
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
	assert_int_equal(mkdir(served_path(&served, "d"), 0700), 0);
	write_image("a.png", 5);
	write_image("b.png", 6);
	write_image("d/a.png", 7);
	for (int round = 0; round < 3; round++) {
		expect_found("a.png", 5);
		assert_int_equal(mount(served_path(&served, "b.png"), served_path(&served, "a.png"),
					 NULL, MS_BIND, NULL),
			0);
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
			.name = "a.png", .timeout_ns = 60 * NS_PER_SECOND};
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
	/* Another one removes what the last has left. */
	serve_stored(state);
	assert_int_equal(stop_stored(state), 0);
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
		cmocka_unit_test_setup_teardown(the_table_grows, set_up_large, stop_stored),
		cmocka_unit_test_setup_teardown(
			one_file_under_many_names_and_options, serve_stored, stop_stored),
		cmocka_unit_test_setup_teardown(what_happens_to_one_file_leaves_the_others_there,
			serve_stored, stop_stored),
		cmocka_unit_test_setup_teardown(
			a_file_that_grows_disturbs_nobody, serve_stored, stop_stored),
		cmocka_unit_test_setup_teardown(
			a_change_by_any_means_is_seen_at_once, serve_stored, stop_stored),
		cmocka_unit_test_setup_teardown(
			what_has_several_names_or_is_a_link_is_asked_for_each_time, serve_stored,
			stop_stored),
		cmocka_unit_test_setup_teardown(
			another_candidate_for_a_name_is_seen_at_once, serve_stored, stop_stored),
		cmocka_unit_test_setup_teardown(
			a_folder_that_moves_takes_its_images_along, serve_stored, stop_stored),
		cmocka_unit_test_setup_teardown(
			a_mount_elsewhere_changes_nothing, serve_stored, stop_stored),
		cmocka_unit_test_setup_teardown(a_mount_over_a_file_or_its_folder_is_seen_at_once,
			serve_stored, stop_stored),
		cmocka_unit_test(a_killed_server_is_not_believed),
		cmocka_unit_test_setup_teardown(a_child_is_refused, serve_stored, stop_stored),
	};

	served_main(argc, argv);
	if (has_flag())
		return cmocka_run_group_tests(tests, NULL, NULL);
	fprintf(stderr, "skipped: there is no change flag here\n");
	return argc > 1 ? SKIPPED : 0;
}
