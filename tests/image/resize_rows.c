/*
 * Resizes what it is given: for test_resize.py. Reads requests from standard input, each a struct
 * request and the pixels, and answers each with the nanoseconds that it took and the pixels.
 */
#include "base/clock.h"
#include "image/resize.h"

#include <stdio.h>
#include <stdlib.h>

struct request {
	uint32_t width, height, to_width, to_height;
	uint32_t channels, bits, filter, premultiply;
	double left, top, right, bottom;
};

static void *need(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		exit(1);
	return memory;
}

static void answer(const struct request *request)
{
	const struct resize_plan plan = {.width = request->width,
		.height = request->height,
		.left = request->left,
		.top = request->top,
		.right = request->right,
		.bottom = request->bottom,
		.to_width = request->to_width,
		.to_height = request->to_height,
		.channels = (uint8_t)request->channels,
		.bits = (uint8_t)request->bits,
		.filter = (uint8_t)request->filter,
		.alpha = request->channels % 2 == 0,
		.premultiply = request->premultiply};
	size_t pixel = plan.channels * (size_t)plan.bits / 8, row = plan.width * pixel;
	size_t size = plan.to_width * pixel * plan.to_height;
	uint8_t *source = need(row * plan.height), *pixels = need(size);
	struct resize resize = {0};
	struct error err = {0};
	uint64_t begun, took;

	if (fread(source, row, plan.height, stdin) != plan.height)
		exit(1);
	begun = clock_now();
	if (resize_begin(&resize, &plan, pixels, &err)) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	for (uint32_t y = 0; y < plan.height; y++)
		resize_push(&resize, source + y * row);
	resize_end(&resize);
	took = clock_now() - begun;
	fwrite(&took, sizeof took, 1, stdout);
	fwrite(pixels, 1, size, stdout);
	fflush(stdout);
	free(source);
	free(pixels);
}

int main(void)
{
	struct request request;

	while (fread(&request, sizeof request, 1, stdin) == 1)
		answer(&request);
	return 0;
}
