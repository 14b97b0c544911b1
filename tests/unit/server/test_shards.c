/* What is found in a tar shard, whatever wrote it, and how long an index counts. */
#include "test.h"

#include "folder.h"
#include "tar_samples.h"

#include "base/cleanup.h"
#include "server/shard_name.h"
#include "server/shard_reader.h"
#include "server/shards.h"
#include "server/watch.h"

#include <fcntl.h>
#include <unistd.h>

/* A shard, and its index as the server has it. */
struct scene {
	struct tar_sample tar;
	struct shard_index index;
	uint8_t *bytes;
};

static void release(struct scene *scene)
{
	tar_free(&scene->tar);
	free(scene->bytes);
	*scene = (struct scene){0};
}

static int write_index(struct scene *scene)
{
	AUTO_CLOSE int fd = tar_file(&scene->tar);
	int index = memfd_create("index", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct shard_content content;

	assert_int_equal(shard_read(fd, scene->tar.size, &content, NULL), 0);
	assert_int_equal(shard_content_write(&content, index), 0);
	shard_content_release(&content);
	return index;
}

static void read_shard(struct scene *scene)
{
	AUTO_CLOSE int fd = write_index(scene);
	off_t size = lseek(fd, 0, SEEK_END);

	free(scene->bytes);
	scene->bytes = malloc((size_t)size);
	assert_non_null(scene->bytes);
	assert_int_equal(pread_full(fd, scene->bytes, (size_t)size, 0), size);
	scene->index = (struct shard_index){
		.header = (const void *)scene->bytes, .size = (size_t)size};
	assert_true(shard_index_check(&scene->index));
}

/* The status of a member by its name; if it is served, `text` is what it is. */
static int status_of(const struct scene *scene, const char *name, const char *text)
{
	const struct shard_entry *entry = shard_index_find(&scene->index, name);
	struct error err;
	int status;

	if (!entry)
		return STATUS_NOT_FOUND;
	status = shard_entry_check(entry, name, &err);
	if (status) {
		assert_non_null(strstr(err.text, name));
		return status;
	}
	assert_int_equal(entry->size, strlen(text));
	assert_memory_equal(scene->tar.data + entry->offset, text, entry->size);
	return STATUS_OK;
}

static void expect(const struct scene *scene, const char *name, const char *text)
{
	assert_int_equal(status_of(scene, name, text), STATUS_OK);
}

static const char *fault_of(const struct scene *scene)
{
	return scene->index.header->fault;
}

static void members_are_found_by_their_names(void **state)
{
	struct scene scene = {0};

	(void)state;
	tar_add(&scene.tar, '5', "b/", NULL, 0);
	tar_add(&scene.tar, '0', "./b/2.jpg", "two", 3);
	tar_add(&scene.tar, '\0', "b/1.jpg", "one", 3);
	tar_add(&scene.tar, '0', "a.jpg", "", 0);
	tar_add(&scene.tar, '7', "c", scene.tar.data, 512);
	tar_end(&scene.tar);
	tar_add(&scene.tar, '0', "behind", "end", 3);
	read_shard(&scene);
	assert_int_equal(scene.index.header->count, 4);
	expect(&scene, "b/1.jpg", "one");
	expect(&scene, "b/2.jpg", "two");
	expect(&scene, "a.jpg", "");
	assert_int_equal(shard_index_find(&scene.index, "c")->size, 512);
	assert_null(shard_index_find(&scene.index, "b"));
	assert_null(shard_index_find(&scene.index, "behind"));
	assert_string_equal(fault_of(&scene), "");
	release(&scene);
	/* Without its end, and without what fills the last block. */
	tar_add(&scene.tar, '0', "a", "text", 4);
	scene.tar.size -= 508;
	read_shard(&scene);
	expect(&scene, "a", "text");
	assert_string_equal(fault_of(&scene), "");
	release(&scene);
	read_shard(&scene);
	assert_null(shard_index_find(&scene.index, "a"));
	release(&scene);
}

static void long_names_and_sizes_are_read_as_each_format_has_them(void **state)
{
	struct scene scene = {0};
	char name[301], record[400], long_prefix[120];
	uint8_t *header;

	(void)state;
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	snprintf(record, sizeof record, "310 path=%s\n", name);
	tar_extend(&scene.tar, 'x', record);
	tar_add(&scene.tar, '0', "short", "pax", 3);
	tar_add(&scene.tar, '0', "plain", "next", 4);
	name[0] = 'g';
	tar_extend(&scene.tar, 'K', "a link's");
	tar_extend(&scene.tar, 'L', name);
	/* What fits of the name may end as a folder's. */
	tar_add(&scene.tar, '0', "short/", "gnu", 3);
	header = tar_header(&scene.tar, '0', "last", 6);
	memset(long_prefix, 'p', sizeof long_prefix);
	memcpy(header + 345, long_prefix, sizeof long_prefix);
	tar_sign(header);
	tar_data(&scene.tar, "prefix", 6);
	header = tar_header(&scene.tar, '0', "binary", 0);
	memset(header + 124, 0, 12);
	header[124] = 0x80;
	header[135] = 7;
	tar_sign(header);
	tar_data(&scene.tar, "base256", 7);
	tar_extend(&scene.tar, 'x', "10 size=5\n");
	tar_header(&scene.tar, '0', "sized", 0);
	tar_data(&scene.tar, "sized", 5);
	tar_extend(&scene.tar, 'g', "15 path=global\n");
	tar_add(&scene.tar, '0', "z", "z", 1);
	/* Both say something of the same member; where both say its name, pax has precedence. */
	tar_extend(&scene.tar, 'L', "long-1");
	tar_extend(&scene.tar, 'x', "10 size=6\n");
	tar_header(&scene.tar, '0', "cut", 0);
	tar_data(&scene.tar, "long-1", 6);
	tar_extend(&scene.tar, 'x', "10 size=6\n");
	tar_extend(&scene.tar, 'L', "long-2");
	tar_header(&scene.tar, '0', "cut", 0);
	tar_data(&scene.tar, "long-2", 6);
	tar_extend(&scene.tar, 'x', "14 path=pax-3\n");
	tar_extend(&scene.tar, 'L', "long-3");
	tar_add(&scene.tar, '0', "cut", "three", 5);
	read_shard(&scene);
	assert_string_equal(fault_of(&scene), "");
	expect(&scene, name, "gnu");
	name[0] = 'n';
	expect(&scene, name, "pax");
	expect(&scene, "plain", "next");
	expect(&scene, "binary", "base256");
	expect(&scene, "sized", "sized");
	expect(&scene, "z", "z");
	expect(&scene, "long-1", "long-1");
	expect(&scene, "long-2", "long-2");
	expect(&scene, "pax-3", "three");
	assert_null(shard_index_find(&scene.index, "cut"));
	snprintf(record, sizeof record, "%.120s/last", long_prefix);
	expect(&scene, record, "prefix");
	release(&scene);
}

static void what_is_no_plain_member_is_refused_by_name(void **state)
{
	struct scene scene = {0};
	uint8_t *header;

	(void)state;
	tar_add(&scene.tar, '2', "symbolic", NULL, 0);
	tar_header(&scene.tar, '1', "hard", 4000);
	tar_add(&scene.tar, '3', "device", NULL, 0);
	tar_add(&scene.tar, '!', "unknown", "data", 4);
	tar_add(&scene.tar, '0', "twice", "one", 3);
	tar_add(&scene.tar, '0', "three", "one", 3);
	tar_add(&scene.tar, '0', "./twice", "two", 3);
	tar_add(&scene.tar, '0', "three", "two", 3);
	tar_add(&scene.tar, '0', "three", "three", 5);
	header = tar_header(&scene.tar, 'S', "sparse", 4);
	header[482] = 1;
	tar_sign(header);
	tar_bytes(&scene.tar, NULL, TAR_BLOCK)[504] = 1;
	tar_bytes(&scene.tar, NULL, TAR_BLOCK);
	tar_data(&scene.tar, "data", 4);
	tar_extend(&scene.tar, 'x', "29 GNU.sparse.name=modern.jpg\n");
	scene.tar.data[scene.tar.size - 512] = '3';
	scene.tar.data[scene.tar.size - 511] = '0';
	tar_add(&scene.tar, '0', "GNUSparseFile.0/modern", "map", 3);
	tar_add(&scene.tar, '0', "plain", "plain", 5);
	read_shard(&scene);
	assert_string_equal(fault_of(&scene), "");
	for (const char *const *name = (const char *const[]){"symbolic", "hard", "device",
		     "unknown", "twice", "three", "sparse", "modern.jpg", NULL};
		*name; name++)
		assert_int_equal(status_of(&scene, *name, NULL), STATUS_BAD_DATA);
	expect(&scene, "plain", "plain");
	release(&scene);
}

static void names_that_nobody_can_ask_for_are_left_out(void **state)
{
	static const char *const names[] = {
		"/absolute", "..", "../out", "a/../b", "a//b", "a/./b", "./", ".", "/", "", "..//"};
	char name[1100];
	struct scene scene = {0};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		tar_add(&scene.tar, '0', names[i], "hidden", 6);
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	tar_extend(&scene.tar, 'L', name);
	tar_add(&scene.tar, '0', "cut", "hidden", 6);
	tar_add(&scene.tar, '0', ".//.//seen", "seen", 4);
	read_shard(&scene);
	assert_int_equal(scene.index.header->count, 1);
	expect(&scene, "seen", "seen");
	release(&scene);
}

/* One member, then what is damaged: that is said, and where, and the member is served. */
static void expect_fault(struct scene *scene, const char *words)
{
	tar_add(&scene->tar, '0', "behind", "b", 1);
	read_shard(scene);
	expect(scene, "good", "good");
	assert_null(shard_index_find(&scene->index, "behind"));
	assert_non_null(strstr(fault_of(scene), words));
	assert_non_null(strstr(fault_of(scene), "at byte 1024 "));
	release(scene);
	tar_add(&scene->tar, '0', "good", "good", 4);
}

static void what_is_damaged_is_said_and_what_is_before_it_served(void **state)
{
	struct scene scene = {0};
	uint8_t *header;

	(void)state;
	tar_add(&scene.tar, '0', "good", "good", 4);
	tar_header(&scene.tar, '0', "bad", 4)[0] ^= 1;
	expect_fault(&scene, "the checksum is wrong");
	tar_header(&scene.tar, '0', "bad", 1 << 20);
	expect_fault(&scene, "goes on behind the shard's end");
	tar_header(&scene.tar, 'L', "bad", 1 << 20);
	expect_fault(&scene, "goes on behind the shard's end");
	tar_extend(&scene.tar, 'x', "28 size=9223372036854775807\n");
	tar_header(&scene.tar, '0', "bad", 4);
	scene.tar.data[1024 + 512] = '2';
	expect_fault(&scene, "makes no sense");
	header = tar_header(&scene.tar, '0', "bad", 4);
	memset(header + 124, 0xff, 12);
	tar_sign(header);
	expect_fault(&scene, "the size is no number");
	header = tar_header(&scene.tar, '0', "bad", 4);
	memset(header + 125, 0xff, 11);
	header[124] = 0x80;
	tar_sign(header);
	expect_fault(&scene, "the size is no number");
	tar_header(&scene.tar, 'x', "bad", (2 << 20));
	tar_bytes(&scene.tar, NULL, 2 << 20);
	expect_fault(&scene, "over the limit of 1 MiB");
	for (const char *const *bad = (const char *const[]){"x", "5\n", "99 a=b\n", "0 a=b\n",
		     "6 ab\n\n", "7 a=bc", "-6 a=b\n", "99999999999999999999 a=b\n", NULL};
		*bad; bad++) {
		tar_extend(&scene.tar, 'x', *bad);
		expect_fault(&scene, "a pax record makes no sense");
	}
	header = tar_header(&scene.tar, 'S', "bad", 0);
	header[482] = 1;
	tar_sign(header);
	read_shard(&scene);
	assert_non_null(strstr(fault_of(&scene), "goes on behind the shard's end"));
	scene.tar.size -= 12;
	read_shard(&scene);
	assert_non_null(strstr(fault_of(&scene), "ends within a header"));
	release(&scene);
}

static void a_compressed_shard_is_called_so(void **state)
{
	struct scene scene = {0};

	(void)state;
	tar_bytes(&scene.tar, "\x1f\x8b\x08", 3);
	tar_bytes(&scene.tar, NULL, 1021);
	read_shard(&scene);
	assert_non_null(strstr(fault_of(&scene), "compressed by gzip"));
	scene.tar.size = 100;
	read_shard(&scene);
	assert_non_null(strstr(fault_of(&scene), "compressed by gzip"));
	scene.tar.size = 1024;
	memcpy(scene.tar.data, "not one", 7);
	read_shard(&scene);
	assert_non_null(strstr(fault_of(&scene), "damaged"));
	release(&scene);
}

/* ---- what the server keeps ---- */

static void seal(int fd)
{
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
}

static void write_shard(int folder, const struct tar_sample *tar)
{
	int fd = openat(folder, "s.tar", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write_full(fd, tar->data, tar->size), 0);
	close(fd);
}

static struct resolved member_of(const struct scene *scene, const char *path)
{
	struct resolved file = {.fd = -1, .key = {.inode = 7, .size = scene->tar.size}};

	strcpy(file.path, path);
	file.shard = shard_name_part(path, 0);
	return file;
}

static void an_index_counts_for_as_long_as_its_shard_is_the_same(void **state)
{
	struct shards *shards = shards_new(NULL);
	struct scene scene = {0};
	struct resolved file, guess;
	struct error err, damage;
	int fd, status;

	(void)state;
	tar_add(&scene.tar, '0', "a/1.jpeg", "one", 3);
	tar_end(&scene.tar);
	file = member_of(&scene, "x/s.tar/a/1");
	fd = write_index(&scene);
	assert_false(shards_find(shards, &file, true, &status, &err));
	assert_false(shards_put(shards, &file, 0, fd, &damage)); /* somebody could write to it */
	seal(fd);
	assert_true(shards_put(shards, &file, 0, fd, &damage));
	assert_true(shards_find(shards, &file, false, &status, &err));
	assert_int_equal(status, 0);
	assert_string_equal(file.path, "x/s.tar/a/1.jpeg");
	assert_int_equal(file.offset, 512);
	assert_int_equal(file.size, 3);
	assert_true(shards_guess(shards, "x/s.tar/a/1", false, &guess));
	assert_memory_equal(&guess.key, &file.key, sizeof guess.key);
	assert_int_equal(guess.size, 3);
	assert_true(shards_guess(shards, "x/s.tar/a/2", false, &guess));
	assert_int_equal(guess.size, 0);
	assert_false(shards_guess(shards, "s.tar/a/1", false, &guess));
	file = member_of(&scene, "x/s.tar/a/2");
	assert_true(shards_find(shards, &file, false, &status, &err));
	assert_int_equal(status, STATUS_NOT_FOUND);
	assert_string_equal(file.path, "x/s.tar/a/2");
	file.key.changed++;
	assert_false(shards_find(shards, &file, true, &status, &err));
	/* Of a file whose stamps may hide a change: for those who asked before it was made. */
	file.recent = true;
	assert_true(shards_put(shards, &file, 0, fd, &damage));
	assert_false(shards_find(shards, &file, false, &status, &err));
	assert_true(shards_find(shards, &file, true, &status, &err));
	assert_false(shards_guess(shards, "x/s.tar/a/1", false, &guess));
	/* It says what another shard is like. */
	file.key.size++;
	assert_false(shards_put(shards, &file, 0, fd, &damage));
	close(fd);
	shards_free(shards);
	release(&scene);
}

/* A program that had it open for writing closes it. What it wrote by a mapping need not show otherwise. */
static void close_writer(int root, struct watch *watch)
{
	close(openat(root, "s.tar", O_WRONLY | O_CLOEXEC));
	watch_update(watch);
}

static void an_index_that_was_begun_before_a_change_does_not_count(void **state)
{
	char path[64] = "/dev/shm/test-shards-XXXXXX", name[] = "s.tar/1.png";
	struct scene scene = {0};
	struct resolved file = {.fd = -1};
	struct watch_token token;
	struct shards *shards;
	struct watch *watch;
	int root, index, writer, status;
	struct error damage;
	uint64_t begun;

	(void)state;
	assert_non_null(mkdtemp(path));
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tar_add(&scene.tar, '0', "1.png", "one", 3);
	write_shard(root, &scene.tar);
	index = write_index(&scene);
	seal(index);
	assert_int_equal(watch_new(root, &watch, NULL), 0);
	shards = shards_new(watch);
	token = watch_folder_of(watch, name);
	assert_int_equal(files_resolve(root, name, &file, NULL), 0);
	watch_file(watch, &file, &token);
	assert_non_null(file.watched);
	assert_false(shards_find(shards, &file, true, &status, NULL));
	begun = shards_now(shards);
	/* Another request leaves it as it is, one that comes after a change does not. */
	assert_false(shards_find(shards, &file, true, &status, NULL));
	assert_int_equal(shards_now(shards), begun);
	close_writer(root, watch);
	assert_false(shards_find(shards, &file, true, &status, NULL));
	assert_true(shards_put(shards, &file, begun, index, &damage));
	assert_false(shards_find(shards, &file, true, &status, NULL));
	assert_true(shards_put(shards, &file, shards_now(shards), index, &damage));
	assert_true(shards_find(shards, &file, true, &status, NULL));
	close_writer(root, watch);
	assert_false(shards_find(shards, &file, true, &status, NULL));
	/* What is written within a tick of the clock by which files are stamped shows nowhere else. */
	assert_true(shards_put(shards, &file, shards_now(shards), index, &damage));
	writer = openat(root, "s.tar", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite_full(writer, "o", 1, TAR_BLOCK), 0);
	watch_update(watch);
	assert_false(shards_find(shards, &file, true, &status, NULL));
	close(writer);
	watch_drop(watch, file.watched);
	shards_free(shards);
	watch_free(watch);
	close(file.fd);
	close(index);
	close(root);
	folder_remove(path);
	release(&scene);
}

static void a_shard_in_what_was_a_shard_is_found(void **state)
{
	struct shards *shards = shards_new(NULL);
	struct scene scene = {0};
	struct resolved file, guess;
	struct error damage;
	int fd;

	(void)state;
	tar_add(&scene.tar, '0', "1.png", "one", 3);
	fd = write_index(&scene);
	seal(fd);
	file = member_of(&scene, "d.tar/e.tar/1.png");
	assert_true(shards_put(shards, &file, 0, fd, &damage));
	file.shard = shard_name_part(file.path, file.shard);
	assert_true(shards_put(shards, &file, 0, fd, &damage));
	assert_true(shards_guess(shards, file.path, false, &guess));
	assert_int_equal(guess.shard, file.shard);
	assert_int_equal(guess.size, 3);
	close(fd);
	shards_free(shards);
	release(&scene);
}

static void each_version_of_a_damaged_shard_is_told_once(void **state)
{
	struct shards *shards = shards_new(NULL);
	struct scene scene = {0};
	struct error damage;
	struct resolved file;
	int fd;

	(void)state;
	tar_add(&scene.tar, '0', "1.png", "one", 3);
	tar_header(&scene.tar, '0', "2.png", 4);
	file = member_of(&scene, "s.tar/1.png");
	fd = write_index(&scene);
	seal(fd);
	for (int version = 0; version < 2; version++) {
		file.key.changed = version;
		assert_true(shards_put(shards, &file, 0, fd, &damage));
		assert_int_equal(damage.status, STATUS_BAD_DATA);
		assert_non_null(strstr(damage.text, "s.tar: at byte 1024 a member goes on"));
		assert_true(shards_put(shards, &file, 0, fd, &damage));
		assert_int_equal(damage.status, STATUS_OK);
	}
	close(fd);
	shards_free(shards);
	release(&scene);
}

static void indexes_beyond_the_limit_go_by_their_last_use(void **state)
{
	struct shards *shards = shards_new(NULL);
	struct scene scene = {0};
	struct resolved file;
	struct error damage;
	char path[32];
	int fd, status;

	(void)state;
	tar_add(&scene.tar, '0', "1.png", "one", 3);
	fd = write_index(&scene);
	seal(fd);
	for (int i = 0; i <= SHARDS_MAX; i++) {
		snprintf(path, sizeof path, "%d.tar/1.png", i);
		file = member_of(&scene, path);
		assert_true(shards_put(shards, &file, 0, fd, &damage));
		file = member_of(&scene, "0.tar/1.png");
		assert_true(shards_find(shards, &file, false, &status, NULL));
	}
	file = member_of(&scene, "1.tar/1.png");
	assert_false(shards_find(shards, &file, false, &status, NULL));
	file = member_of(&scene, "2.tar/1.png");
	assert_true(shards_find(shards, &file, false, &status, NULL));
	close(fd);
	shards_free(shards);
	release(&scene);
}

static struct resolved numbered(const struct scene *scene, int number, bool listed)
{
	char path[32];
	struct resolved file;

	snprintf(path, sizeof path, "%d.tar/1.png", number);
	file = member_of(scene, path);
	file.listed = listed;
	return file;
}

static bool is_kept(struct shards *shards, const struct scene *scene, int number)
{
	struct resolved file = numbered(scene, number, true);

	return shards_index(shards, &file);
}

/* Nor does a list of all of them count as use. */
static void what_only_lists_need_pushes_nothing_out(void **state)
{
	enum {
		USED = SHARDS_MAX - 1,
		ALL = SHARDS_MAX + 100
	};
	struct shards *shards = shards_new(NULL);
	struct scene scene = {0};
	struct error damage;
	int fd, status;

	(void)state;
	tar_add(&scene.tar, '0', "1.png", "one", 3);
	fd = write_index(&scene);
	seal(fd);
	for (int i = 0; i < ALL; i++) {
		struct resolved file = numbered(&scene, i, i >= USED);

		assert_true(shards_put(shards, &file, 0, fd, &damage));
	}
	for (int i = ALL; i-- > 0;) {
		struct resolved file = numbered(&scene, i, true);

		assert_true(shards_find(shards, &file, false, &status, NULL));
		shards_taken(shards, file.path, file.shard);
	}
	for (int i = 0; i < ALL; i++)
		assert_int_equal(is_kept(shards, &scene, i), i <= USED);
	/* A request takes the place of that one; the next, of what no request used for longest. */
	for (int i = 0; i < 2; i++) {
		struct resolved file = numbered(&scene, ALL + i, false);

		assert_true(shards_put(shards, &file, 0, fd, &damage));
		assert_false(is_kept(shards, &scene, USED));
		assert_int_equal(is_kept(shards, &scene, 0), i == 0);
	}
	close(fd);
	shards_free(shards);
	release(&scene);
}

static void names_say_where_a_shard_may_be(void **state)
{
	(void)state;
	assert_int_equal(shard_name_part("a/b.tar/c.tar/d", 0), 7);
	assert_int_equal(shard_name_part("a/b.tar/c.tar/d", 7), 13);
	assert_int_equal(shard_name_part("a/b.tar/c.tar/d", 13), 0);
	assert_int_equal(shard_name_part("X.TaR/d", 0), 5);
	assert_int_equal(shard_name_part("x.tar", 0), 0);
	assert_int_equal(shard_name_part("x.tar.gz/y", 0), 0);
	assert_int_equal(shard_name_part(".tar/y", 0), 0);
	assert_int_equal(shard_name_part("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_by_their_names),
		cmocka_unit_test(long_names_and_sizes_are_read_as_each_format_has_them),
		cmocka_unit_test(what_is_no_plain_member_is_refused_by_name),
		cmocka_unit_test(names_that_nobody_can_ask_for_are_left_out),
		cmocka_unit_test(what_is_damaged_is_said_and_what_is_before_it_served),
		cmocka_unit_test(a_compressed_shard_is_called_so),
		cmocka_unit_test(an_index_counts_for_as_long_as_its_shard_is_the_same),
		cmocka_unit_test(an_index_that_was_begun_before_a_change_does_not_count),
		cmocka_unit_test(a_shard_in_what_was_a_shard_is_found),
		cmocka_unit_test(each_version_of_a_damaged_shard_is_told_once),
		cmocka_unit_test(indexes_beyond_the_limit_go_by_their_last_use),
		cmocka_unit_test(what_only_lists_need_pushes_nothing_out),
		cmocka_unit_test(names_say_where_a_shard_may_be),
	};

	return cmocka_run_group_tests_name("server/shards", tests, NULL, NULL);
}
