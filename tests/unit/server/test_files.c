/* Which files are served, under which names, and what tells their versions apart. */
#include "folder.h"
#include "test.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "server/files.h"
#include "server/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct tree {
	char path[64], outside[64];
	int root;
};

static void write_at(int folder, const char *name, const char *text)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
	close(fd);
}

static int set_up(void **state)
{
	struct tree *tree = calloc(1, sizeof *tree);

	if (!tree)
		return -1;
	strcpy(tree->path, "/tmp/test-files-XXXXXX");
	strcpy(tree->outside, "/tmp/test-files-XXXXXX");
	assert_non_null(mkdtemp(tree->path));
	assert_non_null(mkdtemp(tree->outside));
	tree->root = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(tree->root >= 0);
	assert_int_equal(mkdirat(tree->root, "sub", 0700), 0);
	write_at(tree->root, "apple.jpg", "apple");
	write_at(tree->root, "sub/pear.png", "pear");
	*state = tree;
	return 0;
}

static int tear_down(void **state)
{
	struct tree *tree = *state;

	close(tree->root);
	folder_remove(tree->path);
	folder_remove(tree->outside);
	free(tree);
	return 0;
}

static int resolve(const struct tree *tree, const char *name, struct file_key *ret, char *ret_path)
{
	struct resolved file = {.fd = -1};
	struct error err = {0};
	int status = files_resolve(tree->root, name, &file, &err);

	if (status) {
		assert_int_equal(status, err.status);
		assert_int_not_equal(strlen(err.text), 0);
		return status;
	}
	assert_true(file.fd >= 0);
	assert_int_equal(fcntl(file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(file.fd);
	if (ret)
		*ret = file.key;
	if (ret_path)
		strcpy(ret_path, file.path);
	return STATUS_OK;
}

static void names_lead_to_files_with_and_without_extension(void **state)
{
	struct tree *tree = *state;
	char path[1032];

	assert_int_equal(resolve(tree, "apple.jpg", NULL, NULL), 0);
	assert_int_equal(resolve(tree, "apple", NULL, path), 0);
	assert_string_equal(path, "apple.jpg");
	assert_int_equal(resolve(tree, "sub/pear", NULL, path), 0);
	assert_string_equal(path, "sub/pear.png");
	write_at(tree->root, "apple", "exactly");
	assert_int_equal(resolve(tree, "apple", NULL, path), 0);
	assert_string_equal(path, "apple");
	assert_int_equal(resolve(tree, "pear", NULL, NULL), STATUS_NOT_FOUND);
}

static void names_that_lead_out_are_refused(void **state)
{
	static const char *const names[] = {"../etc/passwd", "/etc/passwd", "..", ".", "", "/",
		"sub/..", "sub/../apple.jpg", "sub//pear.png", "./apple.jpg", "sub/",
		"sub/./pear.png", "sub/../../etc/passwd"};
	struct tree *tree = *state;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(resolve(tree, names[i], NULL, NULL), STATUS_NOT_FOUND);
}

static void long_and_strange_names_are_refused_and_printed_escaped(void **state)
{
	struct tree *tree = *state;
	struct resolved file = {.fd = -1};
	struct error err = {0};
	char name[1025];

	memset(name, 'x', sizeof name);
	name[1024] = '\0';
	assert_int_not_equal(resolve(tree, name, NULL, NULL), STATUS_OK);
	name[300] = '\0';
	assert_int_equal(resolve(tree, name, NULL, NULL), STATUS_NOT_FOUND);
	/* At 250 no extension fits any more, at 255 the name itself. */
	for (size_t i = 250; i <= 256; i++) {
		name[i] = '\0';
		assert_int_equal(resolve(tree, name, NULL, NULL), STATUS_NOT_FOUND);
		name[i] = 'x';
	}
	assert_int_equal(
		files_resolve(tree->root, "a\nb\x1b[1m\xff", &file, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "a\\x0ab\\x1b[1m\\xff"));
}

static void links_are_followed_inside_and_refused_outside(void **state)
{
	struct tree *tree = *state;
	char target[128];
	int outside = open(tree->outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(outside >= 0);
	write_at(outside, "secret.png", "secret");
	snprintf(target, sizeof target, "%s/secret.png", tree->outside);
	assert_int_equal(symlinkat(target, tree->root, "absolute.png"), 0);
	snprintf(target, sizeof target, "..%s/secret.png", strrchr(tree->outside, '/'));
	assert_int_equal(symlinkat(target, tree->root, "relative.png"), 0);
	assert_int_equal(symlinkat(tree->outside, tree->root, "folder"), 0);
	assert_int_equal(symlinkat("/proc/self/fd/0", tree->root, "magic.png"), 0);
	assert_int_equal(symlinkat("loop.png", tree->root, "loop.png"), 0);
	assert_int_equal(symlinkat("sub/pear.png", tree->root, "inside.png"), 0);
	assert_int_equal(resolve(tree, "absolute.png", NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(resolve(tree, "relative.png", NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(resolve(tree, "folder/secret.png", NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(resolve(tree, "magic.png", NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(resolve(tree, "loop.png", NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(resolve(tree, "inside.png", NULL, NULL), STATUS_OK);
	close(outside);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
	struct tree *tree = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	alarm(600);
	assert_int_equal(mkfifoat(tree->root, "fifo.png", 0600), 0);
	assert_int_equal(mkdirat(tree->root, "folder.png", 0700), 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket.png", tree->path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(resolve(tree, "fifo.png", NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(resolve(tree, "folder.png", NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(resolve(tree, "socket.png", NULL, NULL), STATUS_NOT_FOUND);
	alarm(0);
}

static void expect_text(const struct tree *tree, const char *name, const char *text)
{
	struct resolved file;
	struct error err;

	assert_int_equal(files_resolve(tree->root, name, &file, &err), STATUS_NOT_FOUND);
	assert_string_equal(err.text, text);
}

/* As for a shard; but a file of that name comes first. */
static void a_folder_says_what_its_images_are_called(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(mkdirat(tree->root, "folder", 0700), 0);
	expect_text(tree, "folder", "folder: is a folder; its images are folder/NAME");
	expect_text(tree, "folder/",
		"folder/: a name does not end in '/'; an image of a folder is FOLDER/NAME");
	expect_text(tree, "none/",
		"none/: a name does not end in '/'; an image of a folder is FOLDER/NAME");
	for (size_t i = 0; i < 3; i++) {
		const char *outside[] = {"../", "/etc/", "//"};
		char text[128];

		snprintf(text, sizeof text,
			"%s: not a name beneath the served folder (no leading '/', "
			"no empty, '.' or '..' part)",
			outside[i]);
		expect_text(tree, outside[i], text);
	}
	expect_text(tree, "folder/none", "folder/none: no such image");
	write_at(tree->root, "folder.png", "png");
	assert_int_equal(resolve(tree, "folder", NULL, NULL), STATUS_OK);
}

static void a_device_is_refused(void **state)
{
	AUTO_CLOSE int dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tree devices = {.root = dev};

	(void)state;
	assert_int_equal(resolve(&devices, "zero", NULL, NULL), STATUS_NOT_FOUND);
}

/* Root reads everything, so the test lets go of that power for a moment. */
static void a_file_that_may_not_be_read_says_so(void **state)
{
	struct tree *tree = *state;
	bool root = geteuid() == 0;
	int status;

	assert_int_equal(fchmodat(tree->root, "apple.jpg", 0, 0), 0);
	if (root)
		assert_int_equal(chmod(tree->path, 0755) | seteuid(65534), 0);
	status = resolve(tree, "apple.jpg", NULL, NULL);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(status, STATUS_NOT_PERMITTED);
}

static void every_change_of_a_file_changes_its_key(void **state)
{
	struct tree *tree = *state;
	const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	struct file_key before, after;

	assert_int_equal(resolve(tree, "apple", &before, NULL), 0);
	assert_true(files_unchanged(tree->root, "apple.jpg", 0, &before));
	write_at(tree->root, "apple.jpg", "longer than it was");
	assert_false(files_unchanged(tree->root, "apple.jpg", 0, &before));
	assert_int_equal(resolve(tree, "apple", &before, NULL), 0);
	assert_int_equal(utimensat(tree->root, "sub/pear.png", now, 0), 0);
	assert_int_equal(renameat(tree->root, "sub/pear.png", tree->root, "apple.jpg"), 0);
	assert_int_equal(resolve(tree, "apple", &after, NULL), 0);
	assert_memory_not_equal(&before, &after, sizeof before);
	assert_int_equal(unlinkat(tree->root, "apple.jpg", 0), 0);
	assert_false(files_unchanged(tree->root, "apple.jpg", 0, &after));
}

/* The clock that stamps files ticks: what was written just now may be written again unseen. */
static void a_file_just_written_is_called_recent_whatever_its_mtime_says(void **state)
{
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct tree *tree = *state;
	struct resolved file;

	write_at(tree->root, "apple.jpg", "again");
	assert_int_equal(files_resolve(tree->root, "apple", &file, NULL), 0);
	assert_true(file.recent);
	close(file.fd);
	/* The change time cannot be set, so an old mtime does not make the file old. */
	assert_int_equal(utimensat(tree->root, "apple.jpg", old, 0), 0);
	assert_int_equal(files_resolve(tree->root, "apple", &file, NULL), 0);
	assert_true(file.recent);
	close(file.fd);
}

static bool whole_seconds; /* what FAT keeps, at its worst */

int __real_fstat64(int fd, struct stat *ret);
int __wrap_fstat64(int fd, struct stat *ret);

int __wrap_fstat64(int fd, struct stat *ret)
{
	int failed = __real_fstat64(fd, ret);

	if (!failed && whole_seconds) {
		ret->st_ctim.tv_sec -= 1;
		ret->st_ctim.tv_nsec = 0;
	}
	return failed;
}

static void a_file_just_written_is_recent_where_stamps_are_whole_seconds(void **state)
{
	struct tree *tree = *state;
	struct resolved file;

	write_at(tree->root, "apple.jpg", "again");
	whole_seconds = true;
	assert_int_equal(files_resolve(tree->root, "apple", &file, NULL), 0);
	whole_seconds = false;
	assert_true(file.recent);
	close(file.fd);
}

static void a_file_of_two_names_is_not_watchable(void **state)
{
	struct tree *tree = *state;
	struct resolved file;

	assert_int_equal(files_resolve(tree->root, "apple", &file, NULL), 0);
	assert_true(file.watchable);
	close(file.fd);
	assert_int_equal(linkat(tree->root, "apple.jpg", tree->root, "other.jpg", 0), 0);
	assert_int_equal(files_resolve(tree->root, "apple", &file, NULL), 0);
	assert_false(file.watchable);
	close(file.fd);
}

static void the_listing_has_every_image_once_in_byte_order(void **state)
{
	struct tree *tree = *state;
	static const char expected[] = "B.PNG\0apple.jpg\0link.jpeg\0sub/pear.png";
	struct error err;
	char *names;
	size_t size, mounts;

	write_at(tree->root, "B.PNG", "b");
	write_at(tree->root, "readme.txt", "text");
	write_at(tree->root, ".hidden.png", "hidden");
	assert_int_equal(symlinkat("apple.jpg", tree->root, "link.jpeg"), 0);
	assert_int_equal(symlinkat("/etc/passwd", tree->root, "out.jpeg"), 0);
	assert_int_equal(symlinkat(".", tree->root, "circle"), 0);
	assert_int_equal(mkfifoat(tree->root, "fifo.png", 0600), 0);
	assert_int_equal(listing_read(tree->root, "", &names, &size, &mounts, &err), 0);
	assert_int_equal(size, sizeof expected);
	assert_memory_equal(names, expected, sizeof expected);
	free(names);
}

static void a_listing_without_descriptors_is_an_error_not_a_short_list(void **state)
{
	struct tree *tree = *state;
	struct rlimit before, few;
	struct error err = {0};
	char *names;
	size_t size, mounts;
	int status;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)tree->root + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	status = listing_read(tree->root, "", &names, &size, &mounts, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(status, STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, EMFILE);
}

/* Starts a process that does `act` over and over. */
static pid_t start_meanwhile(void (*act)(const struct tree *tree), const struct tree *tree)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		act(tree);
	_exit(0);
}

static void stop_meanwhile(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void exchange(const struct tree *tree)
{
	renameat2(tree->root, "sub", tree->root, "link", RENAME_EXCHANGE);
}

static void a_listing_never_leaves_the_folder_whatever_is_exchanged(void **state)
{
	struct tree *tree = *state;
	int outside = open(tree->outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned inside = 0;
	pid_t pid;

	write_at(outside, "secret.png", "secret");
	close(outside);
	assert_int_equal(symlinkat(tree->outside, tree->root, "link"), 0);
	pid = start_meanwhile(exchange, tree);
	for (int i = 0; i < 20000; i++) {
		struct error err;
		char *names;
		size_t size, mounts;

		assert_int_equal(listing_read(tree->root, "", &names, &size, &mounts, &err), 0);
		assert_null(memmem(names, size, "secret", sizeof "secret" - 1));
		inside += !!memmem(names, size, "pear", sizeof "pear" - 1);
		free(names);
	}
	stop_meanwhile(pid);
	assert_true(inside > 0);
}

static void rename_to_and_fro(const struct tree *tree)
{
	renameat(tree->root, "there", tree->root, "here");
	renameat(tree->root, "here", tree->root, "there");
}

/* The kernel gives up on ".." in a link whenever anything anywhere is renamed meanwhile. */
static void links_upward_are_followed_whatever_is_renamed(void **state)
{
	struct tree *tree = *state;
	pid_t pid;

	write_at(tree->root, "here", "here");
	assert_int_equal(symlinkat("../sub/../apple.jpg", tree->root, "sub/up.jpg"), 0);
	pid = start_meanwhile(rename_to_and_fro, tree);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(resolve(tree, "sub/up.jpg", NULL, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		struct error err;
		char *names;
		size_t size, mounts;

		assert_int_equal(listing_read(tree->root, "", &names, &size, &mounts, &err), 0);
		assert_non_null(memmem(names, size, "up.jpg", sizeof "up.jpg" - 1));
		free(names);
	}
	stop_meanwhile(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(names_lead_to_files_with_and_without_extension),
		TEST(names_that_lead_out_are_refused),
		TEST(long_and_strange_names_are_refused_and_printed_escaped),
		TEST(links_are_followed_inside_and_refused_outside),
		TEST(what_is_no_regular_file_is_refused_without_waiting),
		TEST(a_folder_says_what_its_images_are_called),
		TEST(a_device_is_refused),
		TEST(a_file_that_may_not_be_read_says_so),
		TEST(every_change_of_a_file_changes_its_key),
		TEST(a_file_just_written_is_called_recent_whatever_its_mtime_says),
		TEST(a_file_just_written_is_recent_where_stamps_are_whole_seconds),
		TEST(a_file_of_two_names_is_not_watchable),
		TEST(the_listing_has_every_image_once_in_byte_order),
		TEST(a_listing_without_descriptors_is_an_error_not_a_short_list),
		TEST(a_listing_never_leaves_the_folder_whatever_is_exchanged),
		TEST(links_upward_are_followed_whatever_is_renamed),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
