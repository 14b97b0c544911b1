/*
 * Each allocation of the module, and with it of libpng, fails once: the answer is that memory is
 * short, never a wrong image, and the reader is as good as new afterwards. The linker puts
 * __wrap_malloc and __wrap_calloc before what the module calls.
 */
#include "image_samples.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

enum {
	NEVER = -1
};

static int allocations_left = NEVER;

static bool fails_now(void)
{
	return allocations_left != NEVER && allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

static uint8_t pixels[30 * 30 * 8];

static int decode(struct image_reader *reader, struct bytes file,
	const struct image_options *options, struct error *err)
{
	struct image_info info;
	int status = image_probe(reader, file.data, file.size, options, NULL, &info, err);

	return status ? status : image_decode(reader, pixels, sizeof pixels, NULL, err);
}

/* Where the fast road finds no memory, libpng may still do. */
static bool is_as_ever(const uint8_t *wanted)
{
	return memcmp(pixels, wanted, sizeof pixels) == 0;
}

/* Whether the allocation after `count` others was there to fail. */
static bool fail_after(int count, struct bytes file, const struct image_options *options)
{
	struct image_reader *reader = NULL;
	struct error err = {0};
	uint8_t wanted[sizeof pixels];
	int status;
	bool hit;

	assert_int_equal(image_reader_new(&reader, &err), STATUS_OK);
	assert_int_equal(decode(reader, file, options, &err), STATUS_OK);
	reader = image_reader_free(reader);
	memcpy(wanted, pixels, sizeof wanted);
	memset(pixels, 0, sizeof pixels);
	allocations_left = count;
	status = image_reader_new(&reader, &err);
	if (status == STATUS_OK)
		status = decode(reader, file, options, &err);
	hit = allocations_left == NEVER;
	allocations_left = NEVER;
	if (hit && status == STATUS_OK) {
		assert_true(is_as_ever(wanted));
	} else if (hit) {
		assert_int_equal(status, STATUS_TRY_AGAIN);
		assert_string_equal(err.text, "out of memory");
	} else {
		assert_int_equal(status, STATUS_OK);
	}
	if (reader)
		assert_int_equal(decode(reader, file, options, &err), STATUS_OK);
	image_reader_free(reader);
	return hit;
}

static void fail_each(struct bytes file)
{
	static const struct image_options options[] = {{.scale = 1},
		{.scale = 2, .channels = 4, .flags = IMAGE_LENIENT}, {.width = 20, .height = 40},
		{.width = 20, .height = 40, .flags = IMAGE_KEEP_ORIENTATION}};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		int count = 0;

		while (fail_after(count, file, &options[i]))
			count++;
		assert_true(count > 2);
	}
	free(file.data);
}

static void png_says_that_memory_is_short(void **state)
{
	uint8_t icc[ICC_SIZE], exif[EXIF_SIZE];
	struct png_sample sample = {.width = 30,
		.height = 30,
		.depth = 8,
		.type = 2,
		.icc = make_icc(icc, "RGB "),
		.exif = make_exif(exif, 6, true)};

	(void)state;
	fail_each(make_png(&sample));
	sample.interlaced = true;
	fail_each(make_png(&sample));
}

static void jpeg_says_that_memory_is_short(void **state)
{
	uint8_t icc[ICC_SIZE], exif[EXIF_SIZE];
	struct jpeg_sample sample = {.width = 30,
		.height = 30,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.icc = make_icc(icc, "RGB "),
		.exif = make_exif(exif, 6, true)};

	(void)state;
	fail_each(make_jpeg(&sample));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(png_says_that_memory_is_short),
		cmocka_unit_test(jpeg_says_that_memory_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
