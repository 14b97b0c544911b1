/*
 * A request sent after a file was changed never gets the old pixels, however it was changed, and a
 * request sent when nothing has changed gets the stored ones.
 */
#include "unit/test.h"

#include "served/served.h"
#include "server/internal.h"
#include "unit/image/image_samples.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NAME "a/b/image.png"

/* Longer than a file counts as just changed, which alone makes the server look at it again. */
static const struct timespec settled = {.tv_nsec = 50 * 1000 * 1000};

static struct served served;
static char elsewhere[64]; /* a folder that is not served, on the same file system */

static const char *outside(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", elsewhere, name);
	return path;
}

/* A version is as wide as its number says. Over what is there, without making it another file. */
static void write_version(const char *path, uint32_t version)
{
	struct bytes file = make_png(&(struct png_sample){
		.width = version, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});
	FILE *stream = fopen(path, access(path, F_OK) ? "we" : "r+e");

	assert_non_null(stream);
	assert_int_equal(fwrite(file.data, 1, file.size, stream), file.size);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(truncate(path, (off_t)file.size), 0);
	free(file.data);
}

/* What is under that name now; 0 for nothing. */
static uint32_t version_of(const char *name, bool *ret_stored)
{
	struct shmsem_image image;
	struct shmsem_error error;
	int status = served_fetch(&served, name, &image, &error);
	uint32_t version;

	*ret_stored = false;
	if (status) {
		assert_int_equal(status, SHMSEM_NOT_FOUND);
		return 0;
	}
	version = image.info.width;
	*ret_stored = image.info.from_store;
	shmsem_release(&image);
	return version;
}

static void expect(uint32_t version)
{
	bool stored;

	assert_int_equal(version_of(NAME, &stored), version);
}

/* Stored, and found there, as long as nothing happens. */
static void expect_stored(uint32_t version)
{
	bool stored = false;

	/* On a slow machine the kernel may tell late of what happened before. */
	for (int i = 0; i < 20 && !stored; i++) {
		nanosleep(&settled, NULL);
		for (int twice = 0; twice < 2; twice++)
			assert_int_equal(version_of(NAME, &stored), version);
	}
	assert_true(stored);
}

static void a_file_changed_in_place_is_seen(void **state)
{
	(void)state;
	for (uint32_t version = 2; version < 5; version++) {
		write_version(served_path(&served, NAME), version);
		expect(version);
		expect_stored(version);
	}
	write_version(served_path(&served, NAME), 7);
	expect(7);
	write_version(served_path(&served, NAME), 8);
	expect(8);
}

static void a_file_replaced_by_rename_is_seen(void **state)
{
	(void)state;
	write_version(served_path(&served, "a/b/next.png"), 2);
	assert_int_equal(
		rename(served_path(&served, "a/b/next.png"), served_path(&served, NAME)), 0);
	expect(2);
	expect_stored(2);
	write_version(outside("next.png"), 3);
	assert_int_equal(rename(outside("next.png"), served_path(&served, NAME)), 0);
	expect(3);
}

static void a_file_renamed_or_deleted_is_gone(void **state)
{
	bool stored;

	(void)state;
	assert_int_equal(rename(served_path(&served, NAME), served_path(&served, "z.png")), 0);
	expect(0);
	assert_int_equal(version_of("z.png", &stored), 1);
	assert_int_equal(rename(served_path(&served, "z.png"), served_path(&served, NAME)), 0);
	expect_stored(1);
	assert_int_equal(unlink(served_path(&served, NAME)), 0);
	expect(0);
	write_version(served_path(&served, NAME), 4);
	expect(4);
}

/* As another file, for what its times say is part of what it is. */
static void a_file_touched_is_decoded_anew(void **state)
{
	bool stored;

	(void)state;
	assert_int_equal(utimensat(AT_FDCWD, served_path(&served, NAME), NULL, 0), 0);
	assert_int_equal(version_of(NAME, &stored), 1);
	assert_false(stored);
	expect_stored(1);
	assert_int_equal(chmod(served_path(&served, NAME), 0640), 0);
	assert_int_equal(version_of(NAME, &stored), 1);
	assert_false(stored);
}

/* Same size, and its times set back to what they were. */
static void a_change_that_hides_its_time_is_seen(void **state)
{
	struct stat before;

	(void)state;
	assert_int_equal(stat(served_path(&served, NAME), &before), 0);
	write_version(served_path(&served, NAME), 5);
	assert_int_equal(utimensat(AT_FDCWD, served_path(&served, NAME),
				 (struct timespec[]){before.st_atim, before.st_mtim}, 0),
		0);
	expect(5);
}

static void a_folder_renamed_or_replaced_takes_its_files_along(void **state)
{
	(void)state;
	assert_int_equal(rename(served_path(&served, "a"), served_path(&served, "c")), 0);
	expect(0);
	assert_int_equal(mkdir(served_path(&served, "a"), 0700), 0);
	assert_int_equal(mkdir(served_path(&served, "a/b"), 0700), 0);
	write_version(served_path(&served, NAME), 2);
	expect(2);
	expect_stored(2);
	assert_int_equal(renameat2(AT_FDCWD, served_path(&served, "a"), AT_FDCWD,
				 served_path(&served, "c"), RENAME_EXCHANGE),
		0);
	expect(1);
	expect_stored(1);
	assert_int_equal(rename(served_path(&served, "a/b"), outside("b")), 0);
	expect(0);
	assert_int_equal(rename(outside("b"), served_path(&served, "a/b")), 0);
	expect(1);
}

static void a_change_through_a_link_made_before_is_seen(void **state)
{
	FILE *open_still;

	(void)state;
	assert_int_equal(unlink(served_path(&served, NAME)), 0);
	write_version(outside("link.png"), 2);
	assert_int_equal(link(outside("link.png"), served_path(&served, NAME)), 0);
	expect(2);
	expect_stored(2);
	write_version(outside("link.png"), 3);
	expect(3);
	expect_stored(3);
	/* Now it has one name, and a descriptor that came from the other. */
	open_still = fopen(outside("link.png"), "r+e");
	assert_non_null(open_still);
	assert_int_equal(unlink(outside("link.png")), 0);
	expect_stored(3);
	assert_int_equal(ftruncate(fileno(open_still), 0), 0);
	fclose(open_still);
	write_version(served_path(&served, NAME), 4);
	expect(4);
}

static void a_change_through_a_link_made_later_is_seen(void **state)
{
	(void)state;
	assert_int_equal(link(served_path(&served, NAME), outside("link.png")), 0);
	write_version(outside("link.png"), 2);
	expect(2);
	expect_stored(2);
	write_version(outside("link.png"), 3);
	expect(3);
	assert_int_equal(unlink(outside("link.png")), 0);
	expect_stored(3);
	assert_int_equal(link(served_path(&served, NAME), outside("link.png")), 0);
	expect_stored(3);
	write_version(outside("link.png"), 4);
	expect(4);
}

static void another_name_of_a_file_does_not_make_the_first_forget_it(void **state)
{
	bool stored;

	(void)state;
	assert_int_equal(symlink("a/b/image.png", served_path(&served, "soft.png")), 0);
	nanosleep(&settled, NULL);
	assert_int_equal(version_of("soft.png", &stored), 1);
	expect_stored(1);
	assert_int_equal(version_of("soft.png", &stored), 1);
	assert_int_equal(link(served_path(&served, NAME), outside("link.png")), 0);
	write_version(outside("link.png"), 2);
	expect(2);
}

/* Nothing has happened in the served folders when it is written to. */
static void a_change_through_a_descriptor_of_a_link_that_is_gone_is_seen(void **state)
{
	struct bytes file = make_png(&(struct png_sample){
		.width = 9, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});
	int fd;

	(void)state;
	assert_int_equal(link(served_path(&served, NAME), outside("link.png")), 0);
	fd = open(outside("link.png"), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(unlink(outside("link.png")), 0);
	expect_stored(1);
	assert_int_equal(pwrite(fd, file.data, file.size, 0), file.size);
	expect(9);
	close(fd);
	free(file.data);
}

static void a_change_through_a_symbolic_link_or_behind_one_is_seen(void **state)
{
	bool stored;

	(void)state;
	assert_int_equal(symlink("a/b/image.png", served_path(&served, "soft.png")), 0);
	assert_int_equal(symlink("a", served_path(&served, "soft")), 0);
	assert_int_equal(version_of("soft.png", &stored), 1);
	assert_int_equal(version_of("soft/b/image.png", &stored), 1);
	write_version(served_path(&served, "soft.png"), 2);
	expect(2);
	assert_int_equal(version_of("soft.png", &stored), 2);
	assert_int_equal(version_of("soft/b/image.png", &stored), 2);
	write_version(served_path(&served, "z.png"), 3);
	assert_int_equal(unlink(served_path(&served, "soft.png")), 0);
	assert_int_equal(symlink("z.png", served_path(&served, "soft.png")), 0);
	assert_int_equal(version_of("soft.png", &stored), 3);
	assert_int_equal(mkdir(served_path(&served, "c"), 0700), 0);
	assert_int_equal(mkdir(served_path(&served, "c/b"), 0700), 0);
	write_version(served_path(&served, "c/b/image.png"), 4);
	assert_int_equal(unlink(served_path(&served, "soft")), 0);
	assert_int_equal(symlink("c", served_path(&served, "soft")), 0);
	assert_int_equal(version_of("soft/b/image.png", &stored), 4);
}

#define PADDED 4096

/* A version in a file of always the same size: what follows a PNG's end is no part of it. */
static void padded_version(uint32_t version, unsigned char ret[PADDED])
{
	struct bytes file = make_png(&(struct png_sample){
		.width = version, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});

	assert_true(file.size <= PADDED);
	memset(ret, 0, PADDED);
	memcpy(ret, file.data, file.size);
	free(file.data);
}

static int open_padded(uint32_t version)
{
	unsigned char bytes[PADDED];
	int fd = open(served_path(&served, NAME), O_RDWR | O_CLOEXEC);

	padded_version(version, bytes);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, PADDED, 0), PADDED);
	assert_int_equal(ftruncate(fd, PADDED), 0);
	return fd;
}

/* A file of version 2, mapped. */
static unsigned char *map_padded(int *ret_fd)
{
	unsigned char *mapped;

	*ret_fd = open_padded(2);
	mapped = mmap(NULL, PADDED, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
	assert_true(mapped != MAP_FAILED);
	return mapped;
}

/* The last that its writer does. */
static void store_and_close(uint32_t version, unsigned char *mapped, int fd)
{
	padded_version(version, mapped);
	assert_int_equal(munmap(mapped, PADDED), 0);
	assert_int_equal(close(fd), 0);
}

/* The first store into a page of a mapping changes the file's times, those that follow do not. */
static void a_change_through_a_mapping_is_seen_once_its_writer_has_closed_the_file(void **state)
{
	int fd;
	unsigned char *mapped = map_padded(&fd);

	(void)state;
	expect_stored(2);
	padded_version(3, mapped);
	nanosleep(&settled, NULL);
	assert_int_equal(utimensat(AT_FDCWD, served_path(&served, NAME), NULL, 0), 0);
	expect_stored(3);
	store_and_close(4, mapped, fd);
	expect(4);
	expect_stored(4);
}

/* The times tell nothing here, and no watched folder leads to the file. */
static void a_store_long_after_the_first_is_seen_behind_a_symbolic_link(void **state)
{
	int fd;
	unsigned char *mapped = map_padded(&fd);
	bool stored;

	(void)state;
	assert_int_equal(symlink("a/b/image.png", served_path(&served, "soft.png")), 0);
	mapped[PADDED - 1]++;
	nanosleep(&settled, NULL);
	assert_int_equal(version_of("soft.png", &stored), 2);
	store_and_close(3, mapped, fd);
	assert_int_equal(version_of("soft.png", &stored), 3);
}

/* The image is known, by another name; what tells of the change has not been read. */
static void a_store_long_after_the_first_is_seen_by_who_asks_by_a_new_name(void **state)
{
	int fd;
	unsigned char *mapped = map_padded(&fd);
	bool stored;

	(void)state;
	assert_int_equal(symlink("a", served_path(&served, "soft")), 0);
	mapped[PADDED - 1]++;
	expect_stored(2);
	store_and_close(3, mapped, fd);
	assert_int_equal(version_of("soft/b/image.png", &stored), 3);
}

/* Looked for are the name, then name.jpg, .jpeg, .png; here nobody tells when the first is there. */
static void a_file_that_comes_first_for_a_name_without_extension_is_seen(void **state)
{
	bool stored;

	(void)state;
	assert_int_equal(symlink("a", served_path(&served, "soft")), 0);
	assert_int_equal(version_of("soft/b/image", &stored), 1);
	nanosleep(&settled, NULL);
	assert_int_equal(version_of("soft/b/image", &stored), 1);
	write_version(served_path(&served, "a/b/image.jpg"), 3);
	assert_int_equal(version_of("soft/b/image", &stored), 3);

	write_version(served_path(&served, "later.png"), 4);
	assert_int_equal(symlink("c/later.jpg", served_path(&served, "later.jpg")), 0);
	assert_int_equal(version_of("later", &stored), 4);
	nanosleep(&settled, NULL);
	assert_int_equal(version_of("later", &stored), 4);
	assert_int_equal(mkdir(served_path(&served, "c"), 0700), 0);
	write_version(served_path(&served, "c/later.jpg"), 5);
	assert_int_equal(version_of("later", &stored), 5);
}

static void a_change_by_asynchronous_io_is_seen_once_its_writer_has_closed_the_file(void **state)
{
	static _Alignas(4096) unsigned char bytes[PADDED];
	int fd = open_padded(2);
	aio_context_t context = 0;
	struct iocb write = {.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = (uint64_t)(uintptr_t)bytes,
		.aio_nbytes = PADDED};
	struct iocb *writes = &write;
	struct io_event event;

	(void)state;
	expect_stored(2);
	padded_version(3, bytes);
	assert_int_equal(syscall(SYS_io_setup, 1, &context), 0);
	assert_int_equal(syscall(SYS_io_submit, context, 1, &writes), 1);
	assert_int_equal(syscall(SYS_io_getevents, context, 1, 1, &event, NULL), 1);
	assert_int_equal(event.res, PADDED);
	assert_int_equal(syscall(SYS_io_destroy, context), 0);
	assert_int_equal(close(fd), 0);
	expect(3);
	expect_stored(3);
}

/* Those of all inotify descriptors of this process. */
static unsigned count_watches(void)
{
	DIR *folder = opendir("/proc/self/fdinfo");
	unsigned count = 0;
	struct dirent *entry;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		char path[300], line[256];
		FILE *file;

		snprintf(path, sizeof path, "/proc/self/fdinfo/%s", entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof line, file))
			count += !strncmp(line, "inotify wd:", strlen("inotify wd:"));
		if (file)
			fclose(file);
	}
	closedir(folder);
	return count;
}

static void names_that_do_not_exist_leave_no_watches(void **state)
{
	unsigned before;
	char name[32];
	bool stored;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "d%u", i);
		assert_int_equal(mkdir(served_path(&served, name), 0700), 0);
	}
	/* Another folder has all others watched anew. */
	expect(1);
	before = count_watches();
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "d%u/none.png", i);
		assert_int_equal(version_of(name, &stored), 0);
	}
	assert_int_equal(count_watches(), before);
	write_version(served_path(&served, "d7/none.png"), 2);
	assert_int_equal(version_of("d7/none.png", &stored), 2);
	/* The folder, and the file. */
	assert_int_equal(count_watches(), before + 2);
}

/* A decoder may have just answered, and close its file in this moment. */
static void unmount(const char *name)
{
	const struct timespec moment = {.tv_nsec = 5 * 1000 * 1000};
	int tries = 0;

	while (umount(served_path(&served, name)) != 0) {
		assert_int_equal(errno, EBUSY);
		assert_true(++tries < 10000);
		nanosleep(&moment, NULL);
	}
}

/* Without the flag nothing is reported of it: what is stored counts until another request has to
 * open the file. */
static void a_mount_over_a_file_or_a_folder_is_seen_by_who_opens_it(void **state)
{
	bool flag, stored;

	(void)state;
	store_lock(&served.server->store);
	flag = served.server->flags_shared;
	store_unlock(&served.server->store);
	write_version(outside("image.png"), 2);
	assert_int_equal(
		mount(outside("image.png"), served_path(&served, NAME), NULL, MS_BIND, NULL), 0);
	assert_int_equal(version_of(NAME, &stored), flag ? 2 : 1);
	assert_int_equal(version_of("a/b/image", &stored), 2);
	unmount(NAME);
	expect(1);
	assert_int_equal(mount(elsewhere, served_path(&served, "a/b"), NULL, MS_BIND, NULL), 0);
	assert_int_equal(version_of(NAME, &stored), flag ? 2 : 1);
	write_version(served_path(&served, "a/b/other.png"), 3);
	assert_int_equal(version_of("a/b/other.png", &stored), 3);
	unmount("a/b");
	expect(1);
	expect_stored(1);
	assert_int_equal(version_of("a/b/other.png", &stored), 0);
}

static int set_up(void **state)
{
	struct server_options options = served_options();

	(void)state;
	strcpy(elsewhere, "/tmp/shmsem-elsewhere.XXXXXX");
	assert_non_null(mkdtemp(elsewhere));
	served_start(&served, &options);
	assert_int_equal(mkdir(served_path(&served, "a"), 0700), 0);
	assert_int_equal(mkdir(served_path(&served, "a/b"), 0700), 0);
	write_version(served_path(&served, NAME), 1);
	expect_stored(1);
	return 0;
}

static int remove_below(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind;
	return where->level ? remove(path) : 0;
}

static int tear_down(void **state)
{
	(void)state;
	nftw(served.folder, remove_below, 8, FTW_DEPTH | FTW_PHYS);
	nftw(elsewhere, remove_below, 8, FTW_DEPTH | FTW_PHYS);
	rmdir(elsewhere);
	return served_stop(&served) ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_file_changed_in_place_is_seen),
		TEST(a_file_replaced_by_rename_is_seen),
		TEST(a_file_renamed_or_deleted_is_gone),
		TEST(a_file_touched_is_decoded_anew),
		TEST(a_change_that_hides_its_time_is_seen),
		TEST(a_folder_renamed_or_replaced_takes_its_files_along),
		TEST(a_change_through_a_link_made_before_is_seen),
		TEST(a_change_through_a_link_made_later_is_seen),
		TEST(another_name_of_a_file_does_not_make_the_first_forget_it),
		TEST(a_change_through_a_descriptor_of_a_link_that_is_gone_is_seen),
		TEST(a_change_through_a_symbolic_link_or_behind_one_is_seen),
		TEST(a_change_through_a_mapping_is_seen_once_its_writer_has_closed_the_file),
		TEST(a_store_long_after_the_first_is_seen_behind_a_symbolic_link),
		TEST(a_store_long_after_the_first_is_seen_by_who_asks_by_a_new_name),
		TEST(a_file_that_comes_first_for_a_name_without_extension_is_seen),
		TEST(names_that_do_not_exist_leave_no_watches),
		TEST(a_mount_over_a_file_or_a_folder_is_seen_by_who_opens_it),
		TEST(a_change_by_asynchronous_io_is_seen_once_its_writer_has_closed_the_file),
	};

	served_main(argc, argv);
	return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
