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
static const char script[] = "import struct, sys\n"
			     "from PIL import Image\n"
			     "mode, width, height, side = sys.argv[1], *map(int, sys.argv[2:])\n"
			     "source, answer = sys.stdin.buffer, sys.stdout.buffer\n"
			     "answer.write(b'.'); answer.flush()\n"
			     "pixels = source.read(width * height * len(mode))\n"
			     "image = Image.frombytes(mode, (width, height), pixels)\n"
			     "while word := source.read(8):\n"
			     "    for _ in range(struct.unpack('=Q', word)[0]):\n"
			     "        image.resize((side, side), Image.BICUBIC)\n"
			     "    answer.write(b'.'); answer.flush()\n";

/* The pixels, and who resizes them. */
struct resizing {
	uint8_t *pixels, *resized;
	uint32_t width, height;
	uint8_t channels;
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
		.bits = 8,
		.filter = RESIZE_BICUBIC,
		.alpha = resizing->channels == 4};
	size_t stride = (size_t)resizing->width * resizing->channels;
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

static int start_python(struct resizing *resizing, const int orders[2], const int answers[2])
{
	char width[12], height[12], side[12];
	char *arguments[] = {"python3", "-c", (char *)script,
		resizing->channels == 4 ? "RGBA" : "RGB", width, height, side, NULL};
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

/* STATUS_NOT_FOUND if there is no Pillow. */
static int start_pillow(struct resizing *resizing, struct error *err)
{
	size_t size = (size_t)resizing->width * resizing->height * resizing->channels;
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
	if (write_full(resizing->orders, resizing->pixels, size))
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
	const struct image_options options = {.channels = channels};
	struct image_info info;
	int status = image_probe(reader, picture->data, picture->size, &options, NULL, &info, err);

	if (status)
		return status;
	resizing->pixels = malloc(info.bytes);
	resizing->resized = malloc((size_t)SIDE * SIDE * channels);
	resizing->width = info.width;
	resizing->height = info.height;
	resizing->channels = channels;
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
	snprintf(group, sizeof group, "resize %s %ux%u to %dx%d, bicubic",
		channels == 4 ? "RGBA" : "RGB", resizing->width, resizing->height, SIDE, SIDE);
	status = session_measure(
		session, "decode", group, SIDE * SIDE * channels, subjects, 2, &rows, err);
	if (status)
		return status;
	goal_note(&session->report.goals, GOAL_RESIZE, rows[1].ratio);
	return STATUS_OK;
}

static int measure(struct bench_session *session, const struct picture *picture, uint8_t channels,
	struct error *err)
{
	struct resizing resizing = {0};
	int status = measure_with(session, &resizing, picture, channels, err);

	release(&resizing);
	return status;
}

int resizing_measure(
	struct bench_session *session, const struct pictures *pictures, struct error *err)
{
	const struct picture *photo = pictures_find(pictures, "photo.png");
	int status = STATUS_OK;

	if (!photo)
		return STATUS_OK;
	for (uint8_t channels = 3; !status && channels <= 4; channels++)
		status = measure(session, photo, channels, err);
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
