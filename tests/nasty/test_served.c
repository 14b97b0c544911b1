/*
 * Strangers' files through a server: the nasty ones, and names and files that are not what they
 * seem. An error with a sentence or the right pixels, in time; the server as it was.
 */
#include "unit/test.h"

#include "base/clock.h"
#include "base/text.h"
#include "nasty/internal.h"
#include "served/served.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEAST_FILES 10000
/* On a busy machine, for all that is not decoding. */
#define SLACK_NS     (10 * NS_PER_SECOND)
#define FILL_FILES   20000
#define GROWTH_MAX_K (16 << 10)
#define ISOLATE_EACH 20 /* one of so many files: each costs a process or two */

static struct served served;
static bool isolated;

/* Memory of this process alone, in KiB. */
static long private_memory(void)
{
	char line[128];
	long size = -1;
	FILE *file;

	malloc_trim(0); /* what the generator has freed is not the server's */
	file = fopen("/proc/self/status", "re");
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "RssAnon: %ld", &size) == 1)
			break;
	fclose(file);
	return size;
}

struct run {
	size_t count, tried, decoded;
	uint64_t slowest;
	char slowest_name[128];
	long memory; /* once the server remembers as much as it ever will */
};

static void check(const struct nasty_file *file, int status, const struct shmsem_error *error)
{
	if (status && file->whole)
		fail_msg("%s: no pixels: %s", file->name, error->message);
	if (!status && file->refused)
		fail_msg("%s: was not refused", file->name);
	if (status && (status != SHMSEM_BAD_DATA || !strstr(error->message, "file.png: ") ||
			      !text_is_plain(error->message, strlen(error->message))))
		fail_msg("%s: status %d, '%s'", file->name, status, error->message);
	/* Whatever a codec does with these, it does not die of it. */
	if (strstr(error->message, "its decoder"))
		fail_msg("%s: '%s'", file->name, error->message);
}

static void visit(const struct nasty_file *file, void *context)
{
	struct run *run = context;
	struct shmsem_image image = {0};
	struct shmsem_error error;
	uint64_t start, took;
	int status;

	if (++run->count == FILL_FILES)
		run->memory = private_memory();
	if (run->count % ISOLATE_EACH && isolated)
		return;
	served_write(&served, "file.png", file->data, file->size);
	start = clock_now();
	status = served_fetch(&served, "file.png", &image, &error);
	took = clock_now() - start;
	check(file, status, &error);
	run->tried++;
	run->decoded += !status;
	if (took > run->slowest) {
		run->slowest = took;
		snprintf(run->slowest_name, sizeof run->slowest_name, "%s", file->name);
	}
	if (!status)
		shmsem_release(&image);
}

static void nasty_files_leave_the_server_as_it_was(void **state)
{
	struct run run = {0};
	long after;

	(void)state;
	nasty_generate(visit, &run);
	after = private_memory();
	print_message("%zu of %zu files, %zu times pixels, the slowest after %llu ms: %s; private "
		      "memory %ld KiB, then %ld\n",
		run.tried, run.count, run.decoded, (unsigned long long)(run.slowest / NS_PER_MS),
		run.slowest_name, run.memory, after);
	assert_true(run.count >= LEAST_FILES);
	assert_true(run.slowest < server_defaults.decode_timeout_ns + SLACK_NS);
	assert_true(run.memory && after < run.memory + GROWTH_MAX_K);
}

static void expect(const char *name, int status)
{
	struct shmsem_image image = {0};
	struct shmsem_error error;
	uint64_t start = clock_now();
	int got = served_fetch(&served, name, &image, &error);

	if (!got)
		shmsem_release(&image);
	if (got != status || (got && !error.message[0]))
		fail_msg("%s: status %d, '%s'", name, got, error.message);
	assert_true(clock_now() - start < NS_PER_SECOND);
}

static void in_folder(char path[256], const char *name)
{
	snprintf(path, 256, "%s/%s", served.folder, name);
}

/* Nobody reads what he may not, root or not. */
static void give_up_root_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	assert_int_equal(syscall(SYS_capget, &header, sets), 0);
	sets[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
	assert_int_equal(syscall(SYS_capset, &header, sets), 0);
}

static void only_regular_files_beneath_the_folder_are_read(void **state)
{
	struct bytes good = make_png(&(struct png_sample){
		.width = 4, .height = 4, .type = PNG_COLOR_TYPE_RGB, .depth = 8});
	char path[256], outside[] = "/tmp/shmsem-outside.XXXXXX";
	int fd = mkstemp(outside);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, good.data, good.size), good.size);
	close(fd);
	served_write(&served, "good.png", good.data, good.size);
	expect("good.png", SHMSEM_OK);

	in_folder(path, "link.png");
	assert_int_equal(symlink(outside, path), 0);
	in_folder(path, "zero.png");
	assert_int_equal(symlink("/dev/zero", path), 0);
	in_folder(path, "proc.png");
	assert_int_equal(symlink("/proc/self/fd/0", path), 0);
	in_folder(path, "loop.png");
	assert_int_equal(symlink("loop.png", path), 0);
	in_folder(path, "fifo.png");
	assert_int_equal(mkfifo(path, 0600), 0);
	in_folder(path, "folder.png");
	assert_int_equal(mkdir(path, 0700), 0);
	served_write(&served, "secret.png", good.data, good.size);
	in_folder(path, "secret.png");
	assert_int_equal(chmod(path, 0), 0);
	served_write(&served, "empty.png", "", 0);

	expect("link.png", SHMSEM_NOT_FOUND);
	expect("zero.png", SHMSEM_NOT_FOUND);
	expect("proc.png", SHMSEM_NOT_FOUND);
	expect("loop.png", SHMSEM_NOT_FOUND);
	expect("fifo.png", SHMSEM_NOT_FOUND);
	expect("folder.png", SHMSEM_NOT_FOUND);
	expect("secret.png", SHMSEM_NOT_PERMITTED);
	expect("empty.png", SHMSEM_BAD_DATA);
	expect("../shmsem-outside.png", SHMSEM_NOT_FOUND);
	expect("folder.png/../../etc/passwd", SHMSEM_NOT_FOUND);
	expect(outside, SHMSEM_NOT_FOUND);
	expect("/etc/passwd", SHMSEM_NOT_FOUND);
	expect("good.png/more", SHMSEM_NOT_FOUND);
	expect("none.png", SHMSEM_NOT_FOUND);
	expect("good.png", SHMSEM_OK);
	unlink(outside);
	free(good.data);
}

struct writer {
	struct bytes versions[2];
	char path[256];
	atomic_bool stop;
};

/* Writes one version over the other in place, cuts the file short and lets it grow again. */
static void *keep_changing(void *context)
{
	struct writer *writer = context;
	int fd = open(writer->path, O_RDWR | O_CLOEXEC);
	uint32_t state = 7;

	for (unsigned i = 0; !atomic_load(&writer->stop); i++) {
		const struct bytes *version = &writer->versions[i % 2];
		size_t part = nasty_random(&state) % version->size;

		if (i % 3 == 0 && ftruncate(fd, (off_t)part))
			break;
		if (pwrite(fd, version->data, part, 0) != (ssize_t)part ||
			pwrite(fd, version->data + part, version->size - part, (off_t)part) < 0)
			break;
	}
	close(fd);
	return NULL;
}

/* One grey all over. */
static struct bytes plain_version(uint8_t value)
{
	const uint8_t palette[] = {value, value, value};
	struct bytes file = png_begin(), rows = zlib_run((size_t)300 * 301, 0);

	png_add_header(&file, 300, 300, 8, PNG_COLOR_TYPE_PALETTE);
	png_add(&file, "PLTE", palette, sizeof palette);
	png_add(&file, "IDAT", rows.data, rows.size);
	png_add(&file, "IEND", NULL, 0);
	bytes_free(&rows);
	return file;
}

static void a_changing_file_gives_an_error_or_one_of_its_versions(void **state)
{
	struct writer writer = {.versions = {plain_version(1), plain_version(200)}};
	size_t seen[3] = {0};
	pthread_t thread;

	(void)state;
	served_write(&served, "changing.png", writer.versions[0].data, writer.versions[0].size);
	in_folder(writer.path, "changing.png");
	assert_int_equal(pthread_create(&thread, NULL, keep_changing, &writer), 0);
	for (int i = 0; i < 300; i++) {
		struct shmsem_image image = {0};
		struct shmsem_error error;

		if (served_fetch(&served, "changing.png", &image, &error)) {
			assert_true(error.message[0]);
			seen[2]++;
			continue;
		}
		for (size_t at = 1; at < image.info.bytes; at++)
			if (((const uint8_t *)image.pixels)[at] !=
				((const uint8_t *)image.pixels)[0])
				fail_msg("pixels of two versions in one image");
		seen[((const uint8_t *)image.pixels)[0] == 200]++;
		shmsem_release(&image);
	}
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	print_message("%zu and %zu times a version, %zu errors\n", seen[0], seen[1], seen[2]);
	free(writer.versions[0].data);
	free(writer.versions[1].data);
}

static int set_up(bool isolate)
{
	struct server_options options = served_options();

	isolated = isolate;
	options.isolate = isolate;
	options.cache = UINT64_C(512) << 20; /* for the largest that the limits let through */
	served_start(&served, &options);
	return 0;
}

static int set_up_pool(void **state)
{
	(void)state;
	return set_up(false);
}

static int set_up_isolate(void **state)
{
	(void)state;
	return set_up(true);
}

static int tear_down(void **state)
{
	(void)state;
	return served_stop(&served) ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_regular_files_beneath_the_folder_are_read),
		cmocka_unit_test(a_changing_file_gives_an_error_or_one_of_its_versions),
		cmocka_unit_test(nasty_files_leave_the_server_as_it_was),
	};

	served_main(argc, argv);
	give_up_root_rights();
	return cmocka_run_group_tests_name("pool", tests, set_up_pool, tear_down) +
	       cmocka_run_group_tests_name("isolate", tests, set_up_isolate, tear_down);
}
