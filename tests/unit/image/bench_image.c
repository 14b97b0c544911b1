/*
 * What image_probe and image_decode cost beside the same library used plainly, both into warm
 * memory: in turn, by processor time, the median of the ratios. Fails over 1.05.
 */
#include "image_samples.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	WIDTH = 1200,
	HEIGHT = 900,
	ROUNDS = 21
};

static uint8_t warm[WIDTH * HEIGHT * 4];

static double processor_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void decode_plain(struct bytes file)
{
	if (image_sniff(file.data, file.size) == IMAGE_FORMAT_PNG)
		plain_png_into(file, false, warm);
	else
		plain_jpeg_into(file, 1, JCS_UNKNOWN, warm);
}

static void decode_ours(struct image_reader *reader, struct bytes file)
{
	struct image_info info;

	if (image_probe(reader, file.data, file.size, NULL, NULL, &info, NULL) ||
		image_decode(reader, warm, sizeof warm, NULL, NULL))
		abort();
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Whether it is fast enough. */
static bool measure(struct image_reader *reader, const char *name, struct bytes file)
{
	double ratios[ROUNDS], plain[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		double start = processor_ms(), middle;

		/* the second finds the file in the cache: take turns */
		if (i % 2) {
			decode_ours(reader, file);
			middle = processor_ms();
			decode_plain(file);
			plain[i] = processor_ms() - middle;
			ratios[i] = (middle - start) / plain[i];
		} else {
			decode_plain(file);
			middle = processor_ms();
			decode_ours(reader, file);
			plain[i] = middle - start;
			ratios[i] = (processor_ms() - middle) / plain[i];
		}
	}
	qsort(ratios, ROUNDS, sizeof *ratios, compare);
	qsort(plain, ROUNDS, sizeof *plain, compare);
	printf("%-18s plain %7.2f ms, ratio %.3f\n", name, plain[ROUNDS / 2], ratios[ROUNDS / 2]);
	free(file.data);
	return ratios[ROUNDS / 2] <= 1.05;
}

int main(void)
{
	struct png_sample png = {.width = WIDTH, .height = HEIGHT, .depth = 8, .type = 2};
	struct jpeg_sample jpeg = {.width = WIDTH,
		.height = HEIGHT,
		.input = JCS_RGB,
		.inside = JCS_YCbCr,
		.across = 2,
		.down = 2};
	struct image_reader *reader;
	bool fast;

	memset(warm, 1, sizeof warm);
	if (image_reader_new(&reader, NULL))
		abort();
	fast = measure(reader, "png", make_png(&png));
	png.interlaced = true;
	fast &= measure(reader, "png interlaced", make_png(&png));
	fast &= measure(reader, "jpeg", make_jpeg(&jpeg));
	jpeg.progressive = true;
	fast &= measure(reader, "jpeg progressive", make_jpeg(&jpeg));
	image_reader_free(reader);
	return fast ? EXIT_SUCCESS : EXIT_FAILURE;
}
