#include "served/stored.h"

#include "unit/test.h"

#include "base/clock.h"
#include "server/internal.h"
#include "server/thread_word.h"
#include "unit/image/image_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct served served;

int serve_stored(void **state)
{
	struct server_options options = served_options();

	(void)state;
	served_start(&served, &options);
	return 0;
}

int stop_stored(void **state)
{
	(void)state;
	return served_stop(&served) ? 0 : -1;
}

void write_image(const char *name, uint32_t width)
{
	struct bytes file = make_png(&(struct png_sample){
		.width = width, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});

	served_write(&served, name, file.data, file.size);
	free(file.data);
}

bool has_flag(void)
{
	return !change_flag_share_missing() && thread_word_works();
}

static uint64_t sum_of(size_t offset)
{
	const struct head *head = &served.server->objects.head;
	uint64_t sum = 0;

	for (unsigned seat = 0; seat < head->seats; seat++)
		sum += atomic_load(
			(const _Atomic uint64_t *)(const void *)((const char *)head_seat_counters(
									 head, seat) +
								 offset));
	return sum;
}

uint64_t requests(void)
{
	return sum_of(offsetof(struct wire_seat_counters, requests));
}

uint64_t found(void)
{
	return sum_of(offsetof(struct wire_seat_counters, index_hits));
}

bool fetch_found(const char *name, uint32_t width)
{
	uint64_t asked = requests(), hits = found();
	struct shmsem_image image;
	struct shmsem_error error;

	if (served_fetch(&served, name, &image, &error))
		fail_msg("%s: %s", name, error.message);
	assert_int_equal(image.info.width, width);
	shmsem_release(&image);
	assert_int_equal(requests() - asked + found() - hits, 1);
	return requests() == asked;
}

void expect_found(const char *name, uint32_t width)
{
	int asked = 0;

	while (!fetch_found(name, width))
		assert_true(++asked < 4);
}

void pause_ns(uint64_t ns)
{
	const struct timespec time = clock_timespec(ns);

	nanosleep(&time, NULL);
}

/* Each name and each option leads to its image, and none after the image has gone. */
void one_file_under_many_names_and_options(void **state)
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

void the_table_grows(void **state)
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
