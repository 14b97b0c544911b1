/* Pixels against djpeg and pngtopam, the tools people already trust. Both must be there. */
#include "image_samples.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct image_reader *reader;
static char path[] = "/tmp/shmsem-image-XXXXXX";

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	setenv("IMAGE", path, 1);
	return image_reader_new(&reader, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	reader = image_reader_free(reader);
	return unlink(path);
}

static void save(struct bytes file)
{
	FILE *out = fopen(path, "wb");

	assert_non_null(out);
	assert_int_equal(fwrite(file.data, 1, file.size, out), file.size);
	assert_int_equal(fclose(out), 0);
}

static unsigned pam_number(const char *header, const char *name)
{
	const char *at = strstr(header, name);

	assert_non_null(at);
	return (unsigned)strtoul(at + strlen(name), NULL, 10);
}

/* The header of P5, P6 or P7 with 8 or 16 bits. */
static struct picture read_header(FILE *in)
{
	struct picture picture = {0};
	char line[200], header[1000] = "";
	unsigned most;
	int kind = 0;

	if (!fgets(line, sizeof line, in) || sscanf(line, "P%d", &kind) != 1)
		fail_msg("the tool gave no image");
	if (kind != 7) {
		picture.channels = kind == 6 ? 3 : 1;
		assert_int_equal(fscanf(in, "%u %u %u", &picture.width, &picture.height, &most), 3);
		fgetc(in);
	} else {
		while (fgets(line, sizeof line, in) && strcmp(line, "ENDHDR\n") != 0)
			strncat(header, line, sizeof header - strlen(header) - 1);
		picture.width = pam_number(header, "WIDTH ");
		picture.height = pam_number(header, "HEIGHT ");
		picture.channels = pam_number(header, "DEPTH ");
		most = pam_number(header, "MAXVAL ");
	}
	assert_true(most == 255 || most == 65535);
	picture.bits = most == 255 ? 8 : 16;
	return picture;
}

/* What the command, which finds the file's path in $IMAGE, writes to its standard output. */
static struct picture run_tool(const char *command)
{
	struct picture picture;
	size_t samples;
	FILE *in;

	in = popen(command, "r");
	assert_non_null(in);
	picture = read_header(in);
	samples = (size_t)picture.width * picture.height * picture.channels;
	picture.pixels = malloc(samples * picture.bits / 8);
	assert_non_null(picture.pixels);
	assert_int_equal(fread(picture.pixels, picture.bits / 8, samples, in), samples);
	assert_int_equal(pclose(in), 0);
	for (size_t i = 0; picture.bits == 16 && i < samples; i++) {
		uint8_t *bytes = picture.pixels + 2 * i;
		uint16_t sample = (uint16_t)(bytes[0] << 8 | bytes[1]);

		memcpy(bytes, &sample, sizeof sample);
	}
	return picture;
}

static void compare(struct bytes file, const struct image_options *options, const char *command)
{
	struct picture want;
	struct outcome got = {0};

	save(file);
	want = run_tool(command);
	if (decode_picture(reader, file, options, NULL, &got))
		fail_msg("%s: %s", command, got.error.text);
	assert_same_picture(&got.picture, &want, command);
	free(got.picture.pixels);
	free(want.pixels);
	free(file.data);
}

static void jpeg_is_what_djpeg_gives(void **state)
{
	static const unsigned samplings[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {4, 2}};
	static const J_COLOR_SPACE spaces[][2] = {{JCS_RGB, JCS_YCbCr}, {JCS_RGB, JCS_RGB},
		{JCS_GRAYSCALE, JCS_GRAYSCALE}, {JCS_CMYK, JCS_CMYK}, {JCS_CMYK, JCS_YCCK}};

	(void)state;
	for (unsigned i = 0; i < 6 * 5; i++) {
		/* an MCU has room for ten blocks: 4x2 and three more are too many */
		const unsigned *sampling = samplings[i / 5 - (i / 5 == 5 && i % 5 >= 3)];
		struct jpeg_sample sample = {.width = 117,
			.height = 73,
			.input = spaces[i % 5][0],
			.inside = spaces[i % 5][1],
			.across = sampling[0],
			.down = sampling[1],
			.restart = i % 3,
			.progressive = i % 2,
			.arithmetic = i % 7 == 0};

		compare(make_jpeg(&sample), NULL, "djpeg $IMAGE");
	}
}

static void scaled_and_grey_jpeg_is_what_djpeg_gives(void **state)
{
	static const char *const commands[] = {
		"djpeg -scale 1/2 $IMAGE", "djpeg -scale 1/4 $IMAGE", "djpeg -scale 1/8 $IMAGE"};
	struct jpeg_sample sample = {.width = 117,
		.height = 73,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.across = 2,
		.down = 2};
	struct image_options grey = {.channels = 1};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct image_options options = {.scale = (uint8_t)(2u << i)};

		compare(make_jpeg(&sample), &options, commands[i]);
	}
	compare(make_jpeg(&sample), &grey, "djpeg -grayscale $IMAGE");
}

static void a_truncated_jpeg_is_what_djpeg_gives(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct jpeg_sample sample = {.width = 117,
			.height = 73,
			.input = JCS_RGB,
			.inside = JCS_YCbCr,
			.progressive = i % 2};
		struct bytes file = make_jpeg(&sample);

		file.size /= 2 + i / 2;
		/* that it warns is its status 2 */
		compare(file, NULL, "djpeg $IMAGE 2>/dev/null || test $? = 2");
	}
}

/* Not RGB with tRNS, whose transparent colour pngtopam overlooks; test_image.c has it. */
static void png_is_what_pngtopam_gives(void **state)
{
	static const struct {
		int type, depth;
		bool transparent;
	} kinds[] = {
		{0, 1, false},
		{0, 2, false},
		{0, 4, false},
		{0, 8, false},
		{0, 16, false},
		{2, 8, false},
		{2, 16, false},
		{3, 1, false},
		{3, 4, false},
		{3, 8, false},
		{4, 8, false},
		{4, 16, false},
		{6, 8, false},
		{6, 16, false},
		{0, 8, true},
		{0, 16, true},
		{3, 8, true},
	};

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof kinds / sizeof *kinds; i++) {
		struct png_sample sample = {.width = 53,
			.height = 41,
			.type = kinds[i / 2].type,
			.depth = kinds[i / 2].depth,
			.transparent = kinds[i / 2].transparent,
			.interlaced = i % 2};
		bool alpha = sample.transparent || sample.type >= 4;

		compare(make_png(&sample), NULL,
			alpha ? "pngtopam -alphapam $IMAGE | pamdepth -quiet 255"
			      : "pngtopam $IMAGE | pamdepth -quiet 255");
		if (sample.depth == 16) {
			struct image_options native = {.flags = IMAGE_NATIVE_DEPTH};

			compare(make_png(&sample), &native,
				alpha ? "pngtopam -alphapam $IMAGE" : "pngtopam $IMAGE");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jpeg_is_what_djpeg_gives),
		cmocka_unit_test(scaled_and_grey_jpeg_is_what_djpeg_gives),
		cmocka_unit_test(a_truncated_jpeg_is_what_djpeg_gives),
		cmocka_unit_test(png_is_what_pngtopam_gives),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
