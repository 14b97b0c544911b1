/*
 * Decodes what it is given: for decoder.py. Reads requests from standard input, each a struct
 * request and the bytes of a file, and answers each with a struct answer and the pixels.
 */
#include "image/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	uint64_t size; /* of the file */
	struct image_options options;
	struct image_limits limits;
};

struct answer {
	int32_t status;
	uint32_t width, height, channels, bits, scale;
	uint32_t orientation, comments, animated, icc_bytes;
	uint64_t bytes;
	char text[512]; /* an error, or a warning */
};

static void answer_with(const struct answer *answer, const uint8_t *pixels)
{
	fwrite(answer, sizeof *answer, 1, stdout);
	fwrite(pixels, 1, answer->bytes, stdout);
	fflush(stdout);
}

static int decode(struct image_reader *reader, const struct request *request, const uint8_t *file,
	struct answer *answer, uint8_t **ret_pixels)
{
	struct image_warning warning;
	struct image_info info;
	struct error err;
	uint8_t *pixels;
	int status = image_probe(
		reader, file, request->size, &request->options, &request->limits, &info, &err);

	if (!status) {
		/* Exactly as much, so that a sanitizer sees what goes beyond. */
		pixels = malloc(info.bytes);
		if (!pixels)
			exit(1);
		memset(pixels, 0xa5, info.bytes);
		*ret_pixels = pixels;
		status = image_decode(reader, pixels, info.bytes, &warning, &err);
	}
	if (status) {
		strcpy(answer->text, err.text);
		return status;
	}
	strcpy(answer->text, warning.text);
	answer->width = info.width;
	answer->height = info.height;
	answer->channels = info.channels;
	answer->bits = info.bits;
	answer->scale = info.scale;
	answer->orientation = info.orientation;
	answer->comments = info.comments;
	answer->animated = info.animated;
	answer->icc_bytes = info.icc_bytes;
	answer->bytes = info.bytes;
	return STATUS_OK;
}

int main(void)
{
	struct image_reader *reader;
	struct request request;

	if (image_reader_new(&reader, NULL))
		return 1;
	while (fread(&request, sizeof request, 1, stdin) == 1) {
		uint8_t *file = malloc(request.size + 1), *pixels = NULL;
		struct answer answer = {0};

		if (!file || fread(file, 1, request.size, stdin) != request.size)
			return 1;
		answer.status = decode(reader, &request, file, &answer, &pixels);
		answer_with(&answer, pixels);
		free(pixels);
		free(file);
	}
	image_reader_free(reader);
	return 0;
}
