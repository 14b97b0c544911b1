#include "bench/resizing.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "image/image.h"
#include "image/resize.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SIDE = 224, /* what models take */
};

extern char **environ;

/* Says that there is a Pillow, reads the pixels, and then resizes as often as it is told to. */
static const char script[] =
	"import struct, sys\n"
	"from PIL import Image\n"
	"mode, how, width, height, side = *sys.argv[1:3], *map(int, sys.argv[3:])\n"
	"source, answer = sys.stdin.buffer, sys.stdout.buffer\n"
	"answer.write(b'.'); answer.flush()\n"
	"pixels = source.read(width * height * {'F': 4}.get(mode, len(mode)))\n"
	"image = Image.frombytes(mode, (width, height), pixels)\n"
	"while word := source.read(8):\n"
	"    for _ in range(struct.unpack('=Q', word)[0]):\n"
	"        image.resize((side, side), getattr(Image, how.upper()))\n"
	"    answer.write(b'.'); answer.flush()\n";

/* Where there is least to do beside copying, and what is chosen by default. */
static const struct filter {
	const char *name;
	enum resize_filter filter;
} filters[] = {{"box", RESIZE_BOX}, {"bicubic", RESIZE_BICUBIC}};

/* The pixels, and who resizes them. */
struct resizing {
	const struct filter *filter;
	uint8_t *pixels, *resized;
	uint32_t width, height;
	uint8_t channels, bits;
	pid_t python;
	int orders, answers; /* pipes */
};

static bool pillow_answers(const struct resizing *resizing)
{
	char byte;

	return read_full(resizing->answers, &byte, 1) == 1;
}

static int run_pillow(void *context, uint64_t operations, struct error *err)
{
	const struct resizing *resizing = context;

	if (write_full(resizing->orders, &operations, sizeof operations) ||
		!pillow_answers(resizing))
		return error_set(err, STATUS_TRY_AGAIN, "Pillow's process ended");
	return STATUS_OK;
}

static int run_ours(void *context, uint64_t operations, struct error *err)
{
	const struct resizing *resizing = context;
	const struct resize_plan plan = {.width = resizing->width,
		.height = resizing->height,
		.right = resizing->width,
		.bottom = resizing->height,
		.to_width = SIDE,
		.to_height = SIDE,
		.channels = resizing->channels,
		.bits = resizing->bits,
		.filter = (uint8_t)resizing->filter->filter,
		.alpha = resizing->channels == 4};
	size_t stride = (size_t)resizing->width * resizing->channels * resizing->bits / 8;
	struct resize resize;

	for (; operations > 0; operations--) {
		int status = resize_begin(&resize, &plan, resizing->resized, err);

		if (status)
			return status;
		for (uint32_t y = 0; y < resizing->height; y++)
			resize_push(&resize, resizing->pixels + y * stride);
		resize_end(&resize);
	}
	return STATUS_OK;
}

/* Pillow has no 16 bits but as floats. */
static const char *mode_of(const struct resizing *resizing)
{
	return resizing->bits == 16 ? "F" : resizing->channels == 4 ? "RGBA" : "RGB";
}

static int start_python(struct resizing *resizing, const int orders[2], const int answers[2])
{
	char width[12], height[12], side[12];
	char *arguments[] = {"python3", "-c", (char *)script, (char *)mode_of(resizing),
		(char *)resizing->filter->name, width, height, side, NULL};
	posix_spawn_file_actions_t actions;
	int error;

	snprintf(width, sizeof width, "%u", resizing->width);
	snprintf(height, sizeof height, "%u", resizing->height);
	snprintf(side, sizeof side, "%d", SIDE);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, orders[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, answers[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawn(
		&resizing->python, "/usr/bin/python3", &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static int send_floats(const struct resizing *resizing, size_t samples)
{
	AUTO_FREE float *floats = malloc(samples * sizeof *floats);
	const uint16_t *pixels = (const uint16_t *)(const void *)resizing->pixels;

	for (size_t i = 0; floats && i < samples; i++)
		floats[i] = pixels[i];
	return floats ? write_full(resizing->orders, floats, samples * sizeof *floats) : -1;
}

static int send_pixels(const struct resizing *resizing)
{
	size_t samples = (size_t)resizing->width * resizing->height * resizing->channels;

	return resizing->bits == 16 ? send_floats(resizing, samples)
				    : write_full(resizing->orders, resizing->pixels, samples);
}

/* STATUS_NOT_FOUND if there is no Pillow. */
static int start_pillow(struct resizing *resizing, struct error *err)
{
	int orders[2], answers[2], error;

	if (pipe2(orders, O_CLOEXEC))
		return error_os(err, errno, "cannot make a pipe");
	if (pipe2(answers, O_CLOEXEC)) {
		close(orders[0]);
		close(orders[1]);
		return error_os(err, errno, "cannot make a pipe");
	}
	error = start_python(resizing, orders, answers);
	resizing->orders = orders[1];
	resizing->answers = answers[0];
	close(orders[0]);
	close(answers[1]);
	if (error) {
		resizing->python = 0;
		return error_set(err, STATUS_NOT_FOUND, "there is no /usr/bin/python3");
	}
	if (!pillow_answers(resizing))
		return error_set(err, STATUS_NOT_FOUND, "there is no Pillow");
	if (send_pixels(resizing))
		return error_set(err, STATUS_TRY_AGAIN, "Pillow's process ended");
	return STATUS_OK;
}

static void release(struct resizing *resizing)
{
	if (resizing->orders > 0)
		close(resizing->orders);
	if (resizing->answers > 0)
		close(resizing->answers);
	if (resizing->python > 0)
		waitpid(resizing->python, NULL, 0);
	free(resizing->pixels);
	free(resizing->resized);
	*resizing = (struct resizing){0};
}

static int fill_source(struct resizing *resizing, struct image_reader *reader,
	const struct picture *picture, uint8_t channels, struct error *err)
{
	const struct image_options options = {.channels = channels, .flags = IMAGE_NATIVE_DEPTH};
	struct image_info info;
	int status = image_probe(reader, picture->data, picture->size, &options, NULL, &info, err);

	if (status)
		return status;
	resizing->pixels = malloc(info.bytes);
	resizing->resized = malloc((size_t)SIDE * SIDE * channels * info.bits / 8);
	resizing->width = info.width;
	resizing->height = info.height;
	resizing->channels = channels;
	resizing->bits = info.bits;
	if (!resizing->pixels || !resizing->resized)
		return error_os(err, ENOMEM, "cannot resize '%s'", picture->name);
	status = image_decode(reader, resizing->pixels, info.bytes, NULL, err);
	if (status)
		return status;
	/* Not all the same, or dividing by alpha would cost nothing. */
	for (size_t i = 3; channels == 4 && i < info.bytes; i += 4)
		resizing->pixels[i] = resizing->pixels[i - 1];
	return STATUS_OK;
}

static int decode_source(struct resizing *resizing, const struct picture *picture, uint8_t channels,
	struct error *err)
{
	struct image_reader *reader;
	int status = image_reader_new(&reader, err);

	if (status)
		return status;
	status = fill_source(resizing, reader, picture, channels, err);
	image_reader_free(reader);
	return status;
}

static int measure_with(struct bench_session *session, struct resizing *resizing,
	const struct picture *picture, uint8_t channels, struct error *err)
{
	struct bench_subject subjects[] = {
		{.name = "Pillow", .context = resizing, .run = run_pillow},
		{.name = "shmsem", .context = resizing, .run = run_ours},
	};
	struct bench_result *rows;
	char group[64];
	int status = decode_source(resizing, picture, channels, err);

	if (status)
		return status;
	status = start_pillow(resizing, err);
	if (status)
		return status;
	snprintf(group, sizeof group, "resize %s %ux%u to %dx%d, %s",
		resizing->bits == 16 ? "16-bit grey" : mode_of(resizing), resizing->width,
		resizing->height, SIDE, SIDE, resizing->filter->name);
	status = session_measure(session, "decode", group,
		SIDE * SIDE * channels * resizing->bits / 8, subjects, 2, &rows, err);
	if (status)
		return status;
	goal_note(&session->report.goals, GOAL_RESIZE, rows[1].ratio);
	return STATUS_OK;
}

static int measure(struct bench_session *session, const struct picture *picture, uint8_t channels,
	struct error *err)
{
	int status = STATUS_OK;

	for (size_t i = 0; !status && i < sizeof filters / sizeof *filters; i++) {
		struct resizing resizing = {.filter = &filters[i]};

		status = measure_with(session, &resizing, picture, channels, err);
		release(&resizing);
	}
	return status;
}

int resizing_measure(
	struct bench_session *session, const struct pictures *pictures, struct error *err)
{
	const struct picture *photo = pictures_find(pictures, "photo.png");
	const struct picture *deep = pictures_find(pictures, "deep.png");
	int status = STATUS_OK;

	if (!photo)
		return STATUS_OK;
	for (uint8_t channels = 3; !status && channels <= 4; channels++)
		status = measure(session, photo, channels, err);
	if (!status && deep)
		status = measure(session, deep, 1, err);
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
