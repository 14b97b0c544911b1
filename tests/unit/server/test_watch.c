/* What happens to files and folders is seen, whatever was watched before. */
#include "folder.h"
#include "test.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "server/files.h"
#include "server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A folder on a file system that inotify tells the truth of: a/b/x.png, a/y.png and z.png. */
struct tree {
	char path[64];
	int root;
	struct watch *watch;
};

static void write_file(const struct tree *tree, const char *name, const char *text)
{
	int fd = openat(tree->root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
	close(fd);
}

static int set_up(void **state)
{
	struct tree *tree = calloc(1, sizeof *tree);

	strcpy(tree->path, "/dev/shm/test-watch-XXXXXX");
	assert_non_null(mkdtemp(tree->path));
	tree->root = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(tree->root >= 0);
	assert_int_equal(mkdirat(tree->root, "a", 0700), 0);
	assert_int_equal(mkdirat(tree->root, "a/b", 0700), 0);
	write_file(tree, "a/b/x.png", "1");
	write_file(tree, "a/y.png", "1");
	write_file(tree, "z.png", "1");
	assert_int_equal(watch_new(tree->root, &tree->watch, NULL), 0);
	*state = tree;
	return 0;
}

static int tear_down(void **state)
{
	struct tree *tree = *state;

	assert_null(watch_free(tree->watch));
	close(tree->root);
	folder_remove(tree->path);
	free(tree);
	return 0;
}

static struct watch_token token(struct tree *tree, const char *name)
{
	struct watch_token made = watch_folder_of(tree->watch, name);

	assert_non_null(made.folder);
	assert_true(watch_same(tree->watch, &made));
	return made;
}

static bool same(struct tree *tree, const struct watch_token *made)
{
	watch_update(tree->watch);
	return watch_same(tree->watch, made);
}

static void nothing_happening_leaves_marks_valid(void **state)
{
	struct tree *tree = *state;
	struct watch_token deep = token(tree, "a/b/x.png"), top = token(tree, "z.png");
	struct stat status;

	assert_int_equal(fstatat(tree->root, "a/b/x.png", &status, 0), 0);
	assert_true(same(tree, &deep));
	assert_true(same(tree, &top));
}

/* As the server does for a name. */
static struct resolved watched(struct tree *tree, const char *name, struct watch_token *ret)
{
	struct resolved file = {.fd = -1};

	*ret = token(tree, name);
	assert_int_equal(files_resolve(tree->root, name, &file, NULL), 0);
	watch_file(tree->watch, &file, ret);
	return file;
}

static void writing_touching_truncating_and_deleting_are_seen(void **state)
{
	struct tree *tree = *state;
	struct watch_token made;
	struct resolved file = watched(tree, "a/b/x.png", &made);
	AUTO_CLOSE int fd = openat(tree->root, "a/b/x.png", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "2", 1, 0), 1);
	assert_false(same(tree, &made));
	made = token(tree, "a/b/x.png");
	assert_int_equal(futimens(fd, NULL), 0);
	assert_false(same(tree, &made));
	made = token(tree, "a/b/x.png");
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_false(same(tree, &made));
	made = token(tree, "a/b/x.png");
	assert_int_equal(unlinkat(tree->root, "a/b/x.png", 0), 0);
	assert_false(same(tree, &made));
	close(file.fd);
	watch_drop(tree->watch, file.watched);
}

static void writing_to_a_file_that_nobody_relies_on_changes_nothing(void **state)
{
	struct tree *tree = *state;
	struct watch_token made;
	struct resolved file = watched(tree, "a/y.png", &made);

	write_file(tree, "a/b/x.png", "2");
	write_file(tree, "z.png", "2");
	assert_true(same(tree, &made));
	close(file.fd);
	watch_drop(tree->watch, file.watched);
	made = token(tree, "a/y.png");
	write_file(tree, "a/y.png", "2");
	assert_true(same(tree, &made));
}

static void replacing_and_renaming_files_is_seen(void **state)
{
	struct tree *tree = *state;
	struct watch_token made = token(tree, "a/y.png");

	assert_int_equal(renameat(tree->root, "z.png", tree->root, "a/y.png"), 0);
	assert_false(same(tree, &made));
	made = token(tree, "a/y.png");
	assert_int_equal(renameat(tree->root, "a/y.png", tree->root, "q.png"), 0);
	assert_false(same(tree, &made));
}

static void moving_a_parent_folder_is_seen_below_it(void **state)
{
	struct tree *tree = *state;
	struct watch_token made = token(tree, "a/b/x.png");

	assert_int_equal(renameat(tree->root, "a", tree->root, "c"), 0);
	assert_false(same(tree, &made));
}

/* The watch of the old a/b follows it to c/b; the new a/b must get one of its own. */
static void a_folder_put_in_a_moved_ones_place_is_watched_itself(void **state)
{
	struct tree *tree = *state;
	struct watch_token made;

	token(tree, "a/b/x.png");
	assert_int_equal(renameat(tree->root, "a", tree->root, "c"), 0);
	assert_int_equal(mkdirat(tree->root, "a", 0700), 0);
	assert_int_equal(mkdirat(tree->root, "a/b", 0700), 0);
	write_file(tree, "a/b/x.png", "2");
	watch_update(tree->watch);
	made = token(tree, "a/b/x.png");
	assert_int_equal(unlinkat(tree->root, "a/b/x.png", 0), 0);
	assert_false(same(tree, &made));
}

static void a_folder_deleted_and_made_again_is_watched_itself(void **state)
{
	struct tree *tree = *state;
	struct watch_token made = token(tree, "a/b/x.png");

	assert_int_equal(unlinkat(tree->root, "a/b/x.png", 0), 0);
	assert_int_equal(unlinkat(tree->root, "a/b", AT_REMOVEDIR), 0);
	assert_false(same(tree, &made));
	assert_null(watch_folder_of(tree->watch, "a/b/x.png").folder);
	assert_int_equal(mkdirat(tree->root, "a/b", 0700), 0);
	watch_update(tree->watch);
	made = token(tree, "a/b/x.png");
	write_file(tree, "a/b/x.png", "3");
	assert_false(same(tree, &made));
}

/* Else a name such as a/../a/b would take the watch of a/b over. */
static void names_that_are_not_plain_are_not_watched(void **state)
{
	static const char *const odd[] = {"a/../a/b/x.png", "a//b/x.png", "./a/b/x.png",
		"/a/b/x.png", "../x.png", "a/./b/x.png", "", "/"};
	struct tree *tree = *state;
	struct watch_token made;

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		assert_null(watch_folder_of(tree->watch, odd[i]).folder);
	made = token(tree, "a/b/x.png");
	assert_int_equal(unlinkat(tree->root, "a/b/x.png", 0), 0);
	assert_false(same(tree, &made));
}

static void what_is_done_through_a_link_elsewhere_is_seen(void **state)
{
	struct tree *tree = *state;
	char elsewhere[] = "/dev/shm/test-watch-link-XXXXXX";
	struct watch_token made, other;
	struct resolved file = watched(tree, "a/y.png", &made);
	AUTO_CLOSE int fd = -1;

	assert_non_null(file.watched);
	other = token(tree, "a/b/x.png");
	assert_non_null(mkdtemp(elsewhere));
	fd = open(elsewhere, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(linkat(tree->root, "a/y.png", fd, "link", 0), 0);
	assert_false(same(tree, &made));
	assert_true(same(tree, &other));
	close(file.fd);
	watch_drop(tree->watch, file.watched);

	/* With another name it is not to be relied on. */
	file = watched(tree, "a/y.png", &made);
	assert_null(made.folder);
	assert_int_equal(unlinkat(fd, "link", 0), 0);
	rmdir(elsewhere);
	close(file.fd);
	watch_drop(tree->watch, file.watched);
}

static void a_file_is_watched_until_the_last_one_drops_it(void **state)
{
	struct tree *tree = *state;
	struct watch_token made;
	struct resolved first = watched(tree, "z.png", &made);
	struct resolved second = watched(tree, "z.png", &made);

	assert_ptr_equal(first.watched, second.watched);
	watch_drop(tree->watch, first.watched);
	assert_int_equal(linkat(tree->root, "z.png", tree->root, "a/b/link.png", 0), 0);
	assert_false(same(tree, &made));
	/* It outlives the file. */
	assert_int_equal(unlinkat(tree->root, "z.png", 0), 0);
	assert_int_equal(unlinkat(tree->root, "a/b/link.png", 0), 0);
	close(first.fd);
	close(second.fd);
	watch_update(tree->watch);
	watch_drop(tree->watch, second.watched);
	watch_drop(tree->watch, NULL);
}

static void an_overflow_of_the_queue_voids_every_mark(void **state)
{
	struct tree *tree = *state;
	struct watch_token top = token(tree, "z.png"), deep = token(tree, "a/b/x.png");
	char text[32] = "";
	AUTO_CLOSE int fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY | O_CLOEXEC);
	unsigned long most;

	assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	most = strtoul(text, NULL, 10);
	/* Two files in turn, so that the kernel cannot merge equal events. */
	for (unsigned long i = 0; i <= most + 2; i++)
		assert_int_equal(fchmodat(tree->root, i % 2 ? "a/b/x.png" : "a/y.png", 0600, 0), 0);
	assert_false(same(tree, &top));
	assert_false(same(tree, &deep));
}

static void a_writer_that_never_rests_does_not_hold_up_the_reader(void **state)
{
	struct tree *tree = *state;
	struct watch_token made = token(tree, "z.png");
	pid_t child = fork();

	if (!child)
		for (unsigned i = 0;; i++)
			if (fchmodat(tree->root, i % 2 ? "z.png" : "a/y.png", 0600, 0) != 0)
				_exit(1);
	alarm(600);
	while (same(tree, &made))
		sched_yield();
	for (int i = 0; i < 2000; i++)
		watch_update(tree->watch);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(nothing_happening_leaves_marks_valid),
		TEST(writing_touching_truncating_and_deleting_are_seen),
		TEST(writing_to_a_file_that_nobody_relies_on_changes_nothing),
		TEST(replacing_and_renaming_files_is_seen),
		TEST(moving_a_parent_folder_is_seen_below_it),
		TEST(a_folder_put_in_a_moved_ones_place_is_watched_itself),
		TEST(a_folder_deleted_and_made_again_is_watched_itself),
		TEST(names_that_are_not_plain_are_not_watched),
		TEST(what_is_done_through_a_link_elsewhere_is_seen),
		TEST(a_file_is_watched_until_the_last_one_drops_it),
		TEST(a_writer_that_never_rests_does_not_hold_up_the_reader),
		TEST(an_overflow_of_the_queue_voids_every_mark),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
