#include "served/stored.h"

#include "unit/test.h"

#include "base/clock.h"
#include "server/internal.h"
#include "unit/image/image_samples.h"

#include <stdlib.h>
#include <time.h>

struct served served;

void write_image(const char *name, uint32_t width)
{
	struct bytes file = make_png(&(struct png_sample){
		.width = width, .height = 3, .type = PNG_COLOR_TYPE_GRAY, .depth = 8});

	served_write(&served, name, file.data, file.size);
	free(file.data);
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
