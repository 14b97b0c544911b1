#include "image.h"

#include "fuzz.h"

#include "base/text.h"

#include <string.h>

/* Smaller than the server's, so that an input takes microseconds. */
static const struct image_limits limits = {
	.pixels = 1 << 18,
	.bytes = 4 << 20,
	.memory = 16 << 20,
	.chunk_bytes = 1 << 16,
	.side = 8192,
	.scans = 10,
	.chunks = 20,
};

static struct image_options choose(const uint8_t *data)
{
	static const uint8_t scales[] = {0, 1, 2, 4, 8}, channels[] = {0, 1, 3, 4};

	if (data[1] & 0x80)
		return (struct image_options){
			.channels = channels[data[0] / 8 % sizeof channels],
			.layout = data[0] >> 7,
			.flags = data[1] & 0x7f,
			.width = data[2] & 0x1f,
			.height = data[2] >> 5,
			.crop_width = data[0] & 3,
			.crop_height = data[0] & 7,
			.resample = data[2] & 3,
		};
	return (struct image_options){
		.scale = scales[data[0] % sizeof scales],
		.channels = channels[data[0] / 8 % sizeof channels],
		.layout = data[0] >> 7,
		.flags = data[1] & 0x1f,
		.fit_width = data[1] & 0x20 ? data[2] : 0,
		.fit_height = data[1] & 0x40 ? data[2] : 0,
	};
}

static void check_error(int status, const struct error *err)
{
	FUZZ_CHECK(
		status == STATUS_BAD_DATA || status == STATUS_USAGE || status == STATUS_TRY_AGAIN);
	FUZZ_CHECK(err->status == status);
	FUZZ_CHECK(err->text[0] && text_is_plain(err->text, strlen(err->text)));
}

static void decode(struct image_reader *reader, const struct image_info *info)
{
	/* Exactly as much as was asked for. */
	uint8_t *pixels = malloc(info->bytes);
	struct image_warning warning = {0};
	struct error err = {0};
	size_t size;
	int status;

	FUZZ_CHECK(pixels);
	status = image_decode(reader, pixels, info->bytes, &warning, &err);
	if (status)
		check_error(status, &err);
	else
		FUZZ_CHECK(text_is_plain(warning.text, strlen(warning.text)));
	if (image_profile(reader, &size))
		FUZZ_CHECK(size == info->icc_bytes);
	free(pixels);
}

void fuzz_image(const uint8_t *data, size_t size)
{
	static struct image_reader *reader;
	struct image_options options;
	struct image_info info = {0};
	struct error err = {0};
	int status;

	if (size < IMAGE_OPTION_BYTES)
		return;
	if (!reader)
		FUZZ_CHECK(image_reader_new(&reader, NULL) == STATUS_OK);
	options = choose(data);
	status = image_probe(reader, data + IMAGE_OPTION_BYTES, size - IMAGE_OPTION_BYTES, &options,
		&limits, &info, &err);
	if (status) {
		check_error(status, &err);
		return;
	}
	FUZZ_CHECK(info.width && info.height && info.channels >= 1 && info.channels <= 4);
	FUZZ_CHECK(info.bits == 8 || info.bits == 16);
	FUZZ_CHECK(
		info.bytes == (uint64_t)info.width * info.height * info.channels * info.bits / 8);
	FUZZ_CHECK(info.bytes <= limits.bytes);
	decode(reader, &info);
}

/* What comes of a file. */
struct outcome {
	int status;
	struct error err;
	struct image_info info;
	struct image_warning warning;
	uint8_t *pixels;
};

static struct outcome read_by(struct image_reader *reader, const struct image_options *options,
	const uint8_t *file, size_t size)
{
	struct outcome got = {0};

	got.status = image_probe(reader, file, size, options, &limits, &got.info, &got.err);
	if (got.status)
		return got;
	got.pixels = calloc(1, got.info.bytes);
	FUZZ_CHECK(got.pixels);
	got.status = image_decode(reader, got.pixels, got.info.bytes, &got.warning, &got.err);
	return got;
}

static void check_same(const struct outcome *fast, const struct outcome *plain)
{
	FUZZ_CHECK(fast->status == plain->status);
	FUZZ_CHECK(strcmp(fast->err.text, plain->err.text) == 0);
	FUZZ_CHECK(strcmp(fast->warning.text, plain->warning.text) == 0);
	if (fast->status)
		return;
	FUZZ_CHECK(memcmp(&fast->info, &plain->info, sizeof fast->info) == 0);
	FUZZ_CHECK(memcmp(fast->pixels, plain->pixels, fast->info.bytes) == 0);
}

void fuzz_image_by_both(const uint8_t chosen[IMAGE_OPTION_BYTES], const uint8_t *file, size_t size)
{
	static struct image_reader *readers[2];
	const struct image_options options = choose(chosen);
	struct outcome got[2];

	for (int i = 0; i < 2; i++) {
		if (!readers[i])
			FUZZ_CHECK(image_reader_new(&readers[i], NULL) == STATUS_OK);
		image_reader_by_libpng(readers[i], i);
		got[i] = read_by(readers[i], &options, file, size);
	}
	check_same(&got[0], &got[1]);
	free(got[0].pixels);
	free(got[1].pixels);
}
