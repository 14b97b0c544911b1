/* Every nasty file, decoded in this process: an error with a sentence or pixels, in time, and the
 * reader fit for the next. */
#include "unit/test.h"

#include "base/clock.h"
#include "base/text.h"
#include "nasty/nasty.h"
#include "unit/image/image_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_FILES 10000
/* Under a sanitizer, on a busy machine; the product's own limit is 10 s. */
#define DEADLINE_NS (60 * NS_PER_SECOND)

/* As the server has them. */
static const struct image_limits limits = {
	.pixels = 100000000,
	.bytes = (uint64_t)1 << 30,
	.memory = (uint64_t)512 << 20,
	.chunk_bytes = 8 << 20,
	.side = 65535,
	.scans = 100,
	.chunks = 1000,
};

/* Not one image after the other in the same way. */
static const struct image_options ways[] = {
	{0},
	{.scale = 2, .channels = 4, .flags = IMAGE_PREMULTIPLY},
	{.flags = IMAGE_NATIVE_DEPTH | IMAGE_LENIENT},
	{.fit_width = 3, .layout = IMAGE_LAYOUT_BGR, .flags = IMAGE_KEEP_ORIENTATION},
	{.channels = 1, .flags = IMAGE_STRICT},
	{.width = 40, .height = 30, .flags = IMAGE_LENIENT | IMAGE_DRAFT},
	{.crop_width = 1, .crop_height = 1, .flags = IMAGE_CROP_CENTRED},
};

#define WAYS (sizeof ways / sizeof *ways)

struct run {
	struct image_reader *reader;
	size_t count, decoded;
	uint64_t slowest;
	char slowest_name[128];
};

static void check_sentence(const struct nasty_file *file, int status, const struct error *err)
{
	if (status != STATUS_BAD_DATA)
		fail_msg("%s: status %d, %s", file->name, status, err->text);
	if (!err->text[0] || !text_is_plain(err->text, strlen(err->text)))
		fail_msg("%s: the error is no sentence: '%s'", file->name, err->text);
}

static void decode_one(
	struct run *run, const struct nasty_file *file, const struct image_options *options)
{
	struct outcome outcome = {0};
	struct bytes bytes = {(uint8_t *)(uintptr_t)file->data, file->size};
	int status = decode_picture(run->reader, bytes, options, &limits, &outcome);

	if (status) {
		if (file->whole)
			fail_msg("%s: no pixels: %s", file->name, outcome.error.text);
		check_sentence(file, status, &outcome.error);
		return;
	}
	if (file->refused && !(options->flags & IMAGE_LENIENT))
		fail_msg("%s: was not refused", file->name);
	if (!outcome.info.width || !outcome.info.height ||
		outcome.info.bytes != (uint64_t)outcome.info.width * outcome.info.height *
					      outcome.info.channels * outcome.info.bits / 8)
		fail_msg("%s: %ux%u with %u channels of %u bits is not %llu bytes", file->name,
			outcome.info.width, outcome.info.height, outcome.info.channels,
			outcome.info.bits, (unsigned long long)outcome.info.bytes);
	run->decoded++;
	free(outcome.picture.pixels);
}

static void visit(const struct nasty_file *file, void *context)
{
	struct run *run = context;
	uint64_t start = clock_now(), took;

	decode_one(run, file, &ways[run->count % WAYS]);
	if (run->count % WAYS)
		decode_one(run, file, &ways[0]);
	run->count++;
	took = clock_now() - start;
	if (took < run->slowest)
		return;
	run->slowest = took;
	snprintf(run->slowest_name, sizeof run->slowest_name, "%s", file->name);
}

static void every_file_ends_in_a_sentence_or_pixels(void **state)
{
	struct run run = {0};
	size_t count;

	(void)state;
	assert_int_equal(image_reader_new(&run.reader, NULL), STATUS_OK);
	count = nasty_generate(visit, &run);
	assert_int_equal(count, run.count);
	image_reader_free(run.reader);
	print_message("%zu files, %zu times pixels; the slowest took %llu ms: %s\n", run.count,
		run.decoded, (unsigned long long)(run.slowest / NS_PER_MS), run.slowest_name);
	assert_true(run.count >= LEAST_FILES);
	assert_true(run.slowest < DEADLINE_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_ends_in_a_sentence_or_pixels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
