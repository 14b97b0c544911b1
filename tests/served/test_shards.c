/*
 * Images in tar shards are as fresh, and as soon found, as files: however the shard was changed, a
 * request sent after that never gets the old pixels.
 */
#include "unit/test.h"

#include "unit/server/tar_samples.h"

#include "served/stored.h"
#include "server/internal.h"
#include "server/shards.h"
#include "unit/image/image_samples.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLED_NS (50 * 1000 * 1000)

/* A picture as wide as its number says. */
static struct bytes picture(uint32_t width)
{
	return make_png(&(struct png_sample){
		.width = width, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});
}

static void add_picture(struct tar_sample *tar, const char *name, uint32_t width)
{
	struct bytes file = picture(width);

	tar_add(tar, '0', name, file.data, file.size);
	free(file.data);
}

/* A shard of a/1.png, a/2.png, ..., the first one `width` wide, each other one more. */
static struct tar_sample shard_of(unsigned count, uint32_t width)
{
	struct tar_sample tar = {0};
	char name[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof name, "a/%u.png", i + 1);
		add_picture(&tar, name, width + i);
	}
	return tar;
}

static void write_shard(const char *name, struct tar_sample tar)
{
	served_write(&served, name, tar.data, tar.size);
	tar_free(&tar);
}

/* Without making it another file. */
static void write_over(const char *name, struct tar_sample tar)
{
	int fd = open(served_path(&served, name), O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, tar.data, tar.size), 0);
	close(fd);
	tar_free(&tar);
}

/* The width of what is under that name; 0 for nothing. */
static uint32_t width_of(const char *name)
{
	struct shmsem_image image;
	struct shmsem_error error;
	int status = served_fetch(&served, name, &image, &error);
	uint32_t width;

	if (status) {
		assert_int_equal(status, SHMSEM_NOT_FOUND);
		return 0;
	}
	width = image.info.width;
	shmsem_release(&image);
	return width;
}

static void expect(const char *name, uint32_t width)
{
	assert_int_equal(width_of(name), width);
}

static void expect_error(const char *name, const char *words)
{
	struct shmsem_image image;
	struct shmsem_error error;

	assert_int_equal(served_fetch(&served, name, &image, &error), SHMSEM_BAD_DATA);
	assert_non_null(strstr(error.message, name));
	assert_non_null(strstr(error.message, words));
}

static void members_are_served_as_files_are(void **state)
{
	struct shmsem_info info;
	struct bytes file = picture(5);

	(void)state;
	write_shard("s.tar", shard_of(3, 5));
	expect("s.tar/a/1", 5);
	expect("s.tar/a/1.png", 5);
	expect("s.tar/a/3", 7);
	expect("s.tar/a/4", 0);
	expect("s.tar/a", 0);
	expect("other.tar/a/1", 0);
	assert_int_equal(shmsem_info(served.client, &(struct shmsem_request){.name = "s.tar/a/1"},
				 &info, &(struct shmsem_error){0}),
		0);
	assert_int_equal(info.file_bytes, file.size);
	free(file.data);
}

static void a_folder_may_have_the_name_of_a_shard(void **state)
{
	(void)state;
	assert_int_equal(mkdir(served_path(&served, "d.tar"), 0700), 0);
	write_image("d.tar/x.png", 4);
	write_shard("d.tar/s.TAR", shard_of(2, 6));
	for (int i = 0; i < 2; i++) {
		expect("d.tar/x", 4);
		expect("d.tar/s.TAR/a/2", 7);
		expect("d.tar/x.png/y", 0);
	}
	unlink(served_path(&served, "d.tar/x.png"));
	unlink(served_path(&served, "d.tar/s.TAR"));
	expect("d.tar/s.TAR/a/2", 0);
	rmdir(served_path(&served, "d.tar"));
	write_shard("d.tar", shard_of(1, 9));
	expect("d.tar/a/1", 9);
}

static void a_shard_that_was_changed_is_seen_at_once(void **state)
{
	(void)state;
	write_shard("s.tar", shard_of(3, 5));
	expect("s.tar/a/1", 5);
	for (uint32_t width = 20; width < 30; width += 2) {
		write_shard("s.tar", shard_of(3, width));
		expect("s.tar/a/1", width);
		write_over("s.tar", shard_of(2, width + 1));
		expect("s.tar/a/1", width + 1);
		expect("s.tar/a/2", width + 2);
		expect("s.tar/a/3", 0);
		if (width & 2)
			pause_ns(SETTLED_NS);
		expect("s.tar/a/1", width + 1);
	}
}

static void a_shard_that_was_renamed_or_deleted_is_gone(void **state)
{
	char from[256];

	(void)state;
	write_shard("s.tar", shard_of(3, 5));
	pause_ns(SETTLED_NS);
	expect("s.tar/a/1", 5);
	strcpy(from, served_path(&served, "s.tar"));
	assert_int_equal(rename(from, served_path(&served, "t.tar")), 0);
	expect("s.tar/a/1", 0);
	expect("t.tar/a/1", 5);
	expect("t.tar/a/2", 6);
	assert_int_equal(unlink(served_path(&served, "t.tar")), 0);
	expect("t.tar/a/1", 0);
	expect("t.tar/a/2", 0);
}

static void what_is_appended_is_seen(void **state)
{
	struct tar_sample more = {0};
	int fd;

	(void)state;
	write_shard("s.tar", shard_of(2, 5));
	pause_ns(SETTLED_NS);
	expect("s.tar/a/2", 6);
	expect("s.tar/new", 0);
	add_picture(&more, "new.png", 9);
	fd = open(served_path(&served, "s.tar"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, more.data, more.size), 0);
	close(fd);
	tar_free(&more);
	expect("s.tar/new", 9);
	expect("s.tar/a/2", 6);
}

/* The key of the file may stay as it is. */
static void a_change_through_a_mapping_is_seen_once_its_writer_has_closed_the_file(void **state)
{
	struct tar_sample tar = shard_of(2, 5), other = {0};
	size_t size = tar.size;
	uint8_t *map;
	int fd;

	(void)state;
	add_picture(&other, "b/1.png", 5);
	add_picture(&other, "b/2.png", 6);
	assert_int_equal(other.size, size);
	write_shard("s.tar", tar);
	fd = open(served_path(&served, "s.tar"), O_RDWR | O_CLOEXEC);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	map[size - 1] = 0; /* the stamps change now, if they do */
	pause_ns(SETTLED_NS);
	expect("s.tar/a/1", 5);
	memcpy(map, other.data, size);
	munmap(map, size);
	close(fd);
	tar_free(&other);
	expect("s.tar/a/1", 0);
	expect("s.tar/b/1", 5);
	expect("s.tar/a/2", 0);
	expect("s.tar/b/2", 6);
}

static void a_shard_behind_links_is_as_fresh(void **state)
{
	char target[256];

	(void)state;
	write_shard("s.tar", shard_of(2, 5));
	strcpy(target, served_path(&served, "s.tar"));
	assert_int_equal(symlink("s.tar", served_path(&served, "soft.tar")), 0);
	assert_int_equal(link(target, served_path(&served, "hard.tar")), 0);
	for (uint32_t width = 5; width < 8; width++) {
		expect("soft.tar/a/1", width);
		expect("hard.tar/a/2", width + 1);
		expect("s.tar/a/1", width);
		write_over("s.tar", shard_of(2, width + 1));
	}
	write_shard("s.tar", shard_of(2, 20));
	expect("soft.tar/a/1", 20);
	expect("hard.tar/a/2", 9);
}

static void what_is_no_plain_member_says_so(void **state)
{
	struct tar_sample tar = {0};

	(void)state;
	add_picture(&tar, "twice.png", 5);
	add_picture(&tar, "twice.png", 5);
	tar_add(&tar, '2', "link.png", NULL, 0);
	add_picture(&tar, "good.png", 7);
	tar_add(&tar, '0', "empty.png", NULL, 0);
	tar_header(&tar, '0', "cut.png", 100000);
	write_shard("s.tar", tar);
	expect("s.tar/good", 7);
	expect_error("s.tar/twice.png", "is in the shard twice");
	expect_error("s.tar/link.png", "is a link in the shard");
	expect_error("s.tar/empty.png", "is empty");
	expect_error("s.tar/cut.png", "goes on behind the shard's end");
	expect_error("s.tar", "is a tar shard; its members are s.tar/NAME");
	served_write(&served, "c.tar", "\x1f\x8b\x08 and so on", 13);
	expect_error("c.tar/x.png", "compressed by gzip");
	served_write(&served, "c.tar.gz", "\x1f\x8b\x08 and so on", 13);
	expect_error("c.tar.gz/x.png", "compressed");
}

/* And the index of a shard is made once. */
static void stored_members_are_found_without_asking(void **state)
{
	char name[32];

	(void)state;
	if (!has_flag())
		return;
	write_shard("s.tar", shard_of(200, 5));
	pause_ns(SETTLED_NS);
	for (uint32_t i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "s.tar/a/%u.png", i + 1);
		assert_false(fetch_found(name, 5 + i));
	}
	for (uint32_t i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "s.tar/a/%u.png", i + 1);
		assert_true(fetch_found(name, 5 + i));
	}
	write_image("beside.png", 3);
	expect_found("s.tar/a/1.png", 5);
	write_over("s.tar", shard_of(200, 6));
	for (uint32_t i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "s.tar/a/%u.png", i + 1);
		assert_false(fetch_found(name, 6 + i));
	}
}

static int count(void *context, const char *name)
{
	char *all = context;

	strcat(strcat(all, name), " ");
	return 0;
}

static void members_are_in_the_list_of_names(void **state)
{
	struct tar_sample tar = {0};
	char all[512] = "";

	(void)state;
	add_picture(&tar, "b.png", 5);
	add_picture(&tar, "a/x.JPG", 5);
	add_picture(&tar, "twice.png", 5);
	add_picture(&tar, "twice.png", 5);
	tar_add(&tar, '2', "link.png", NULL, 0);
	tar_add(&tar, '0', "label.txt", "text", 4);
	add_picture(&tar, "../out.png", 5);
	add_picture(&tar, "._b.png", 5);
	add_picture(&tar, "a/.hidden/b.png", 5);
	tar_header(&tar, '0', "cut.png", 100000);
	write_shard("s.tar", tar);
	write_image("s.png", 3);
	write_image("t.png", 3);
	served_write(&served, "bad.tar", "text", 4);
	assert_int_equal(symlink("s.tar", served_path(&served, "l.tar")), 0);
	assert_int_equal(symlink("none.tar", served_path(&served, "gone.tar")), 0);
	assert_int_equal(mkdir(served_path(&served, "d.tar"), 0700), 0);
	write_image("d.tar/x.png", 3);
	assert_int_equal(shmsem_names(served.client, count, all, &(struct shmsem_error){0}), 0);
	assert_string_equal(all,
		"d.tar/x.png l.tar/a/x.JPG l.tar/b.png s.png s.tar/a/x.JPG s.tar/b.png t.png ");
	unlink(served_path(&served, "d.tar/x.png"));
	rmdir(served_path(&served, "d.tar"));
}

/* ---- lists and indexes ---- */

struct names_seen {
	size_t count;
	char last[1100];
};

static int in_order(void *context, const char *name)
{
	struct names_seen *seen = context;

	assert_true(strcmp(seen->last, name) < 0);
	strcpy(seen->last, name);
	seen->count++;
	return 0;
}

static size_t count_names(void)
{
	struct names_seen seen = {0};

	assert_int_equal(
		shmsem_names(served.client, in_order, &seen, &(struct shmsem_error){0}), 0);
	return seen.count;
}

/* Whether anything was read of a file in the folder since the last call. */
static bool any_read(int reads)
{
	char events[4096];

	return read(reads, events, sizeof events) > 0;
}

static int watch_reads(const char *name)
{
	int reads = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	assert_true(inotify_add_watch(reads, served_path(&served, name), IN_ACCESS) >= 0);
	return reads;
}

/* By a list or by a request for a member, the other finds it then. */
static void the_index_of_a_shard_is_read_once_for_lists_and_members(void **state)
{
	int reads;

	(void)state;
	write_shard("s.tar", shard_of(300, 5));
	pause_ns(SETTLED_NS);
	reads = watch_reads("s.tar");
	assert_int_equal(count_names(), 300);
	assert_true(any_read(reads));
	assert_int_equal(count_names(), 300);
	expect("s.tar/none", 0);
	assert_false(any_read(reads));
	close(reads);
	write_shard("s.tar", shard_of(200, 5));
	pause_ns(SETTLED_NS);
	reads = watch_reads("s.tar");
	expect("s.tar/none", 0);
	assert_true(any_read(reads));
	assert_int_equal(count_names(), 200);
	assert_int_equal(count_names(), 200);
	assert_false(any_read(reads));
	close(reads);
}

/* In pages, in whose middle shards begin and end, with names that sort before and behind all others. */
static void lists_go_on_behind_the_last_name_of_a_page(void **state)
{
	struct tar_sample tar = {0};
	char name[1024];
	size_t length;

	(void)state;
	for (unsigned i = 0; i < 120; i++) {
		length = (size_t)snprintf(name, sizeof name, "%c%u", (char)(i + 1), i);
		if (name[0] == '/' || name[0] == '.')
			continue;
		memset(name + length, 'x', 300);
		strcpy(name + length + 300, i % 3 ? ".png" : ".txt");
		tar_extend(&tar, 'L', name);
		tar_add(&tar, '0', "cut", "x", 1);
	}
	memset(name, 'y', 1015);
	strcpy(name + 1015, ".png");
	tar_extend(&tar, 'L', name);
	tar_add(&tar, '0', "cut", "x", 1);
	write_shard("b.tar", tar);
	write_shard("b.TAR", shard_of(500, 5));
	served_write(&served, "empty.tar", "", 0);
	write_shard("c.tar", shard_of(500, 5));
	write_image("b.png", 5);
	write_image("b.tar.png", 5);
	write_image("b.tas.png", 5);
	assert_int_equal(count_names(), 79 + 1000 + 3);
	/* Of most shards, the names are copied then. */
	store_lock(&served.server->store);
	served.server->names.indexes_max = 1;
	store_unlock(&served.server->store);
	assert_int_equal(count_names(), 79 + 1000 + 3);
	assert_int_equal(served.server->names.done.indexes, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, serve_stored, stop_stored)
		TEST(members_are_served_as_files_are),
		TEST(a_folder_may_have_the_name_of_a_shard),
		TEST(a_shard_that_was_changed_is_seen_at_once),
		TEST(a_shard_that_was_renamed_or_deleted_is_gone),
		TEST(what_is_appended_is_seen),
		TEST(a_change_through_a_mapping_is_seen_once_its_writer_has_closed_the_file),
		TEST(a_shard_behind_links_is_as_fresh),
		TEST(what_is_no_plain_member_says_so),
		TEST(stored_members_are_found_without_asking),
		TEST(members_are_in_the_list_of_names),
		TEST(the_index_of_a_shard_is_read_once_for_lists_and_members),
		TEST(lists_go_on_behind_the_last_name_of_a_page),
	};

	served_main(argc, argv);
	return cmocka_run_group_tests_name("shards", tests, NULL, NULL);
}
