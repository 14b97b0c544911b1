/*
 * A camera that publishes 1,000 frames a second under one name, and readers that take the newest
 * without asking it: camera NAMESPACE SECONDS [READERS]. Every byte of a frame is the low byte of its
 * number, which the profile of the image tells; a frame of two kinds of bytes is torn, and one that
 * is older than what the reader had before is stale. Prints what each reader got.
 */
#define _POSIX_C_SOURCE 200809L
#include <shmsem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WIDTH  320
#define HEIGHT 240

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int read_frames(const char *space, uint64_t until)
{
	struct shmsem_connect_options options = {.name_space = space, .wait_ns = 5000000000};
	unsigned long frames = 0, looks = 0, torn = 0, stale = 0;
	const struct shmsem_request request = {.name = "front"};
	struct shmsem_error error;
	struct shmsem *client;
	uint32_t last = 0;

	if (shmsem_connect(&client, &options, &error))
		return fprintf(stderr, "reader: %s\n", error.message), 1;
	while (now() < until) {
		struct shmsem_image frame;
		uint32_t number;
		const unsigned char *bytes;

		if (shmsem_fetch(client, &request, &frame, &error)) {
			if (error.status == SHMSEM_NOT_FOUND)
				continue; /* not one yet */
			return fprintf(stderr, "reader: %s\n", error.message), 1;
		}
		memcpy(&number, frame.icc, sizeof number);
		bytes = frame.pixels;
		for (size_t i = 0; i < frame.info.bytes; i++)
			if (bytes[i] != (unsigned char)number) {
				torn++;
				break;
			}
		stale += number < last;
		frames += number != last;
		looks++;
		last = number;
		shmsem_release(&frame);
	}
	shmsem_close(client);
	printf("reader: %lu looks, %lu frames, %lu torn, %lu stale\n", looks, frames, torn, stale);
	return torn || stale || !frames;
}

/* 0 if the frame was published, 1 if there was no room and it is dropped, -1 if it failed. */
static int take_frame(struct shmsem_server *server, uint32_t number, struct shmsem_error *error)
{
	const struct shmsem_info info = {
		.width = WIDTH, .height = HEIGHT, .channels = 3, .icc_bytes = sizeof number};
	void *pixels, *icc;

	if (shmsem_prepare(server, &info, &pixels, &icc, error))
		return error->status == SHMSEM_TRY_AGAIN ? 1 : -1;
	memset(pixels, (unsigned char)number, (size_t)WIDTH * HEIGHT * 3);
	memcpy(icc, &number, sizeof number);
	return shmsem_publish(server, "front", error) ? -1 : 0;
}

static uint64_t until_then(uint64_t then)
{
	uint64_t time = now();

	return then > time ? then - time : 0;
}

static int film(const char *space, uint64_t until)
{
	struct shmsem_serve_options options = {.name_space = space, .kept = 1, .memory = 8 << 20};
	unsigned long frames = 0, dropped = 0;
	struct shmsem_server *server;
	struct shmsem_error error;
	uint64_t next = now();

	if (shmsem_serve(&server, &options, &error))
		return fprintf(stderr, "camera: %s\n", error.message), 1;
	while (next < until) {
		int status = take_frame(server, (uint32_t)++frames, &error);

		if (status < 0)
			return fprintf(stderr, "camera: %s\n", error.message), 1;
		dropped += status == 1;
		next += 1000000;
		if (shmsem_server_run(server, until_then(next), &error))
			return fprintf(stderr, "camera: %s\n", error.message), 1;
	}
	/* Readers may be in their last look. */
	if (shmsem_server_run(server, 500000000, &error))
		return fprintf(stderr, "camera: %s\n", error.message), 1;
	shmsem_server_close(server);
	printf("camera: %lu frames, %lu dropped\n", frames, dropped);
	return 0;
}

int main(int argc, char **argv)
{
	int readers = argc > 3 ? atoi(argv[3]) : 8, failed, status;
	uint64_t until;

	if (argc < 3)
		return fprintf(stderr, "usage: camera NAMESPACE SECONDS [READERS]\n"), 64;
	until = now() + (uint64_t)atoi(argv[2]) * 1000000000;
	for (int i = 0; i < readers; i++)
		if (!fork())
			exit(read_frames(argv[1], until));
	failed = film(argv[1], until);
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
