/*
 * A file that is replaced while it is decoded: the request that waits gets the new one, and is told of
 * it only if that is replaced, too.
 */
#include "unit/test.h"

#include "unit/server/tar_samples.h"

#include "served/stored.h"
#include "server/internal.h"
#include "unit/image/image_samples.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#define IMAGE "image.png"
#define SHARD "s.tar"

/* So many of the next files that were decoded are replaced before the server looks whether they changed: each
 * is one wider. */
static atomic_int replacements;
static const char *_Atomic replaced;

static void next_name(char ret[64], int left)
{
	snprintf(ret, 64, "%s.next.%d", replaced, left);
}

bool __real_files_key(int fd, struct file_key *ret);
bool __wrap_files_key(int fd, struct file_key *ret);

bool __wrap_files_key(int fd, struct file_key *ret)
{
	char next[64], from[256], to[256];

	if (replacements > 0) {
		next_name(next, replacements--);
		snprintf(from, sizeof from, "%s/%s", served.folder, next);
		snprintf(to, sizeof to, "%s/%s", served.folder, replaced);
		rename(from, to);
	}
	return __real_files_key(fd, ret);
}

/* A picture as wide as its number says, or a shard with one. */
static void write_version(const char *name, uint32_t version)
{
	struct bytes file = make_png(&(struct png_sample){
		.width = version, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});
	struct tar_sample tar = {0};

	if (!strcmp(replaced, SHARD)) {
		tar_add(&tar, '0', IMAGE, file.data, file.size);
		served_write(&served, name, tar.data, tar.size);
		tar_free(&tar);
	} else {
		served_write(&served, name, file.data, file.size);
	}
	free(file.data);
}

/* A file that is 1 wide, and will be replaced so often. */
static void replace(const char *name, int times)
{
	char next[64];

	replaced = name;
	write_version(name, 1);
	for (int i = 0; i < times; i++) {
		next_name(next, times - i);
		write_version(next, (uint32_t)i + 2);
	}
	replacements = times;
}

static const char *asked_name(void)
{
	return strcmp(replaced, SHARD) ? IMAGE : SHARD "/" IMAGE;
}

static int fetch(uint32_t width, struct shmsem_error *error)
{
	struct shmsem_image image;
	int status = served_fetch(&served, asked_name(), &image, error);

	assert_int_equal(replacements, 0);
	if (!status) {
		assert_int_equal(image.info.width, width);
		shmsem_release(&image);
	}
	return status;
}

static void the_new_file_is_decoded(void **state)
{
	struct shmsem_error error;

	(void)state;
	replace(IMAGE, 1);
	assert_int_equal(fetch(2, &error), STATUS_OK);
}

static void what_was_wrong_with_the_old_file_is_not_told(void **state)
{
	static const uint8_t broken[] = "\x89PNG\r\n\x1a\n, and nothing";
	struct shmsem_error error;

	(void)state;
	replace(IMAGE, 1);
	served_write(&served, IMAGE, broken, sizeof broken);
	assert_int_equal(fetch(2, &error), STATUS_OK);
}

static void the_new_shard_is_read(void **state)
{
	struct shmsem_error error;

	(void)state;
	replace(SHARD, 1);
	assert_int_equal(fetch(2, &error), STATUS_OK);
}

static void the_new_header_is_read(void **state)
{
	const struct shmsem_request request = {.name = IMAGE};
	struct shmsem_info info;
	struct shmsem_error error;

	(void)state;
	replace(IMAGE, 1);
	assert_int_equal(shmsem_info(served.client, &request, &info, &error), STATUS_OK);
	assert_int_equal(info.width, 2);
	assert_int_equal(replacements, 0);
}

/* The width of what is there; 0 for nothing. */
static void *fetch_width(void *context)
{
	struct shmsem_image image;
	struct shmsem_error error;

	if (served_fetch(&served, IMAGE, &image, &error))
		return NULL;
	*(uint32_t *)context = image.info.width;
	shmsem_release(&image);
	return NULL;
}

static bool any_waits_for_an_image(void)
{
	bool any = false;

	store_lock(&served.server->store);
	for (unsigned i = 0; i < served.server->options.seats; i++)
		any |= served.server->requests[i].state == REQUEST_WAITS_IMAGE;
	store_unlock(&served.server->store);
	return any;
}

/* For the list, and for a request that waits for the same image. */
static void what_is_decoded_ahead_is_decoded_anew(void **state)
{
	const struct shmsem_connect_options connect = {.name_space = "served"};
	const struct shmsem_request request = {.name = IMAGE};
	pid_t decoder = served.server->decoders[0].pid;
	struct shmsem_prefetched prefetched;
	struct shmsem_error error;
	struct shmsem *client;
	uint32_t width = 0;
	pthread_t second;

	(void)state;
	assert_int_equal(shmsem_connect(&client, &connect, &error), STATUS_OK);
	replace(IMAGE, 1);
	assert_int_equal(kill(decoder, SIGSTOP), 0);
	assert_int_equal(shmsem_prefetch(client, &request, &prefetched, &error), STATUS_OK);
	assert_int_equal(pthread_create(&second, NULL, fetch_width, &width), 0);
	while (!any_waits_for_an_image())
		sched_yield();
	assert_int_equal(kill(decoder, SIGCONT), 0);
	pthread_join(second, NULL);
	assert_int_equal(width, 2);
	while (prefetched.listed)
		assert_int_equal(shmsem_prefetch_wait(client, 0, &prefetched, &error), STATUS_OK);
	assert_int_equal(prefetched.decoded, 1);
	assert_int_equal(prefetched.failed, 0);
	shmsem_close(client);
}

static void a_file_that_is_replaced_twice_is_told(void **state)
{
	struct shmsem_error error;

	(void)state;
	replace(IMAGE, 2);
	assert_int_equal(fetch(0, &error), STATUS_TRY_AGAIN);
	assert_non_null(strstr(error.message, "image.png: changed while it was read; ask again"));
	assert_int_equal(fetch(3, &error), STATUS_OK);
	/* The next request has its own second try. */
	replace(IMAGE, 1);
	assert_int_equal(fetch(2, &error), STATUS_OK);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, serve_stored, stop_stored)
		TEST(the_new_file_is_decoded),
		TEST(what_was_wrong_with_the_old_file_is_not_told),
		TEST(the_new_shard_is_read),
		TEST(the_new_header_is_read),
		TEST(what_is_decoded_ahead_is_decoded_anew),
		TEST(a_file_that_is_replaced_twice_is_told),
	};

	served_main(argc, argv);
	return cmocka_run_group_tests_name("replaced", tests, NULL, NULL);
}
