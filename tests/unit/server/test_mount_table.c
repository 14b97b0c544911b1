/* Mounts below the served folder: which of them the server opens files of itself, and watches. */
#include "folder.h"
#include "test.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "server/mount_table.h"
#include "server/watch.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A folder in memory, in a mount namespace of the test's own, with a tmpfs mounted at "disk" in it. */
struct tree {
	char path[64];
	int root;
	struct mount_table *mounts;
	struct watch *watch;
};

static void write_file(const struct tree *tree, const char *name)
{
	AUTO_CLOSE int fd = openat(tree->root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, name, strlen(name)), 0);
}

static void mount_at(const struct tree *tree, const char *type, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", tree->path, name);
	mkdir(path, 0700);
	assert_int_equal(mount(type, path, type, 0, NULL), 0);
}

static void unmount(const struct tree *tree, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", tree->path, name);
	assert_int_equal(umount(path), 0);
}

static int set_up(void **state)
{
	struct tree *tree = calloc(1, sizeof *tree);

	strcpy(tree->path, "/dev/shm/test-mounts-XXXXXX");
	assert_non_null(mkdtemp(tree->path));
	tree->root = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(tree->root >= 0);
	write_file(tree, "own.png");
	mount_at(tree, "tmpfs", "disk");
	write_file(tree, "disk/x.png");
	assert_int_equal(mount_table_new(tree->root, &tree->mounts, NULL), 0);
	assert_int_equal(watch_new(tree->root, &tree->watch, NULL), 0);
	watch_set_mounts(tree->watch, tree->mounts);
	*state = tree;
	return 0;
}

static int tear_down(void **state)
{
	struct tree *tree = *state;

	watch_free(tree->watch);
	mount_table_free(tree->mounts);
	/* The mount is not kept busy. */
	unmount(tree, "disk");
	close(tree->root);
	folder_remove(tree->path);
	free(tree);
	return 0;
}

/* Resolves a name that only a helper may, or that is not there. */
static bool resolves(struct tree *tree, const char *name, int *ret_status, struct error *err)
{
	struct resolved file = {.fd = -1};
	bool direct = mount_table_resolve(tree->mounts, name, &file, ret_status, err);

	if (file.fd >= 0)
		close(file.fd);
	return direct;
}

static void a_local_mount_is_entered_and_no_other(void **state)
{
	struct tree *tree = *state;
	struct resolved file = {.fd = -1};
	struct error err;
	int status = -1;

	assert_true(mount_table_resolve(tree->mounts, "disk/x", &file, &status, &err));
	assert_int_equal(status, STATUS_OK);
	assert_string_equal(file.path, "disk/x.png");
	assert_true(mount_table_unchanged(tree->mounts, "disk/x.png", &file.key));
	assert_true(mount_table_local(tree->mounts, "disk/x.png"));
	close(file.fd);
	assert_true(resolves(tree, "disk/none", &status, &err));
	assert_int_equal(status, STATUS_NOT_FOUND);
	assert_string_equal(err.text, "disk/none: no such image");
	assert_true(resolves(tree, "own", &status, &err));
	/* Its root has the name of a file that may be beside it. */
	assert_false(resolves(tree, "disk", &status, &err));

	/* proc is on no list, and what is mounted below it is reached by way of it. */
	mount_at(tree, "proc", "disk/proc");
	assert_false(resolves(tree, "disk/proc/version", &status, &err));
	assert_int_equal(mount_table_open_folder(tree->mounts, "disk/proc/tty"), -1);
	mount_at(tree, "tmpfs", "disk/proc/tty");
	write_file(tree, "disk/proc/tty/z.png");
	assert_false(resolves(tree, "disk/proc/tty/z.png", &status, &err));
	assert_false(mount_table_local(tree->mounts, "disk/proc/tty/z.png"));
	assert_true(resolves(tree, "disk/x", &status, &err));
	unmount(tree, "disk/proc/tty");
	unmount(tree, "disk/proc");
}

/* As a name is served: watched, opened, watched itself. */
static struct watch_token look_at(struct tree *tree, const char *name)
{
	struct watch_token token = watch_folder_of(tree->watch, name);
	struct resolved file = {.fd = -1};
	struct error err;
	int status;

	assert_true(mount_table_resolve(tree->mounts, name, &file, &status, &err));
	assert_int_equal(status, STATUS_OK);
	watch_file(tree->watch, &file, &token);
	watch_drop(tree->watch, file.watched);
	close(file.fd);
	return token;
}

static void files_of_a_local_mount_are_watched(void **state)
{
	struct tree *tree = *state;
	struct watch_token token = look_at(tree, "disk/x.png");

	assert_true(watch_same(tree->watch, &token));
	write_file(tree, "disk/y.png");
	watch_update(tree->watch);
	assert_false(watch_same(tree->watch, &token));
}

static void a_mount_over_a_watched_folder_is_watched_instead(void **state)
{
	struct tree *tree = *state;
	struct watch_token before = look_at(tree, "disk/x.png"), token;

	assert_true(watch_same(tree->watch, &before));
	mount_at(tree, "tmpfs", "disk");
	write_file(tree, "disk/x.png");
	token = look_at(tree, "disk/x.png");
	assert_false(watch_same(tree->watch, &before));
	assert_true(watch_same(tree->watch, &token));
	write_file(tree, "disk/y.png");
	watch_update(tree->watch);
	assert_false(watch_same(tree->watch, &token));
	unmount(tree, "disk");
}

static void write_text(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
}

/* A mount namespace, by way of a user namespace for who is not root; false where there is none. */
static bool own_mounts(void)
{
	uid_t user = geteuid();
	char map[32];

	if (unshare(user ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) != 0)
		return false;
	snprintf(map, sizeof map, "0 %d 1", (int)user);
	if (user)
		write_text("/proc/self/uid_map", map);
	/* In a chroot the root folder is no mount. */
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ||
	       mount(NULL, "/dev/shm", NULL, MS_PRIVATE, NULL) == 0;
}

/* Whose root is no mount point, and so not in the list of mounts. */
static bool blocks_in_a_chroot(const struct tree *tree)
{
	struct mount_table *mounts;
	int folder;

	if (chdir(tree->path) || mkdir("proc", 0700) || mount("proc", "proc", "proc", 0, NULL) ||
		chroot("."))
		return true;
	folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return mount_table_new(folder, &mounts, NULL) || mount_table_all_block(mounts);
}

static void a_local_folder_in_a_chroot_blocks_no_more_than_elsewhere(void **state)
{
	struct tree *tree = *state;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child)
		_exit(unshare(CLONE_NEWNS) || blocks_in_a_chroot(tree));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(unlinkat(tree->root, "proc", AT_REMOVEDIR), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_local_mount_is_entered_and_no_other),
		TEST(a_local_folder_in_a_chroot_blocks_no_more_than_elsewhere),
		TEST(files_of_a_local_mount_are_watched),
		TEST(a_mount_over_a_watched_folder_is_watched_instead),
	};

	if (!own_mounts()) {
		perror("no mounts of one's own are to be had");
		return 77; /* skipped */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
