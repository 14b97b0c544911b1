/*
 * A client that does what it is told, a line at a time, and answers each line with one of its own:
 * "STATUS TEXT". What the fault suite's scripts use the library through.
 *
 *	connect NS GUARD TIMEOUT_MS WAIT_MS
 *	fetch NAME
 *		holds it: "0 SLOT WIDTH FROM_STORE CRC"
 *	repeat N NAME CRC
 *		fetches and releases it N times: "0 LONGEST_NS MEDIAN_NS", or the first error; 99
 *		if pixels are wrong
 *	log PATH CLIENT
 *		from now on notes there when it waits for a seat and when it gets one (seat_log.c)
 *	turns N NS NAME CRC
 *		connects, fetches, closes N times: "0 LONGEST_NS MEDIAN_NS"
 *	sum SLOT / check SLOT / release SLOT / ping / names / close
 *	post SEM_NAME N
 *		posts any semaphore
 */
#include "base/clock.h"
#include "seat_log.h"
#include "shmsem.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define SAMPLES 1000000
#define WRONG   99

static struct shmsem *client;
/* One more than may be held. */
#define SLOTS (SHMSEM_HELD_MAX + 1)

static struct shmsem_image images[SLOTS];
static uint64_t samples[SAMPLES];
static size_t samples_count;

static void answer(int status, const struct shmsem_error *error)
{
	printf("%d %s\n", status, status ? error->message : "");
}

static unsigned long sum(const struct shmsem_image *image)
{
	return crc32(0, image->pixels, (uInt)image->info.bytes);
}

static void sample(uint64_t begin)
{
	if (samples_count < SAMPLES)
		samples[samples_count++] = clock_now() - begin;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The longest and the median of the samples, which are then forgotten, or the error. */
static void print_result(int status, const struct shmsem_error *error)
{
	qsort(samples, samples_count, sizeof *samples, compare);
	if (status)
		answer(status, error);
	else
		printf("0 %llu %llu\n",
			samples_count ? (unsigned long long)samples[samples_count - 1] : 0,
			samples_count ? (unsigned long long)samples[samples_count / 2] : 0);
	samples_count = 0;
}

/* Waits by itself: with wait_ns, calls would wait as long for the successor of a server that died. */
static int connect_to(
	const char *space, int guard, unsigned timeout, unsigned wait, struct shmsem_error *error)
{
	const struct shmsem_connect_options options = {.name_space = space,
		.timeout_ns = timeout * NS_PER_MS,
		.flags = guard ? SHMSEM_GUARD_SIGBUS : 0};
	const struct timespec turn = clock_timespec(5 * NS_PER_MS);
	uint64_t appear = deadline_after(wait * NS_PER_MS);
	int status;

	shmsem_close(client);
	for (client = NULL;; nanosleep(&turn, NULL)) {
		status = shmsem_connect(&client, &options, error);
		if (status != SHMSEM_UNAVAILABLE || clock_now() >= appear)
			return status;
	}
}

static void fetch(const char *name)
{
	const struct shmsem_request request = {.name = name};
	struct shmsem_error error = {0};
	int slot = 0, status;

	while (slot < SLOTS && images[slot].connection)
		slot++;
	if (slot == SLOTS) {
		printf("75 all slots are in use\n");
		return;
	}
	status = shmsem_fetch(client, &request, &images[slot], &error);
	if (status)
		answer(status, &error);
	else
		printf("0 %d %u %u %lu\n", slot, images[slot].info.width,
			images[slot].info.from_store, sum(&images[slot]));
}

/* What is known of pixels that are not the right ones. */
static void describe(const struct shmsem_image *image, const char *name, struct shmsem_error *error)
{
	const unsigned char *pixels = image->pixels;
	size_t zeros = 0, last = 0;

	for (size_t i = 0; i < image->info.bytes; i++)
		if (pixels[i])
			last = i + 1;
		else
			zeros++;
	snprintf(error->message, sizeof error->message,
		"wrong pixels of %s: sum %lu, %ux%u, %s, segment %u at %llu, %zu zero bytes, all "
		"from "
		"%zu on",
		name, sum(image), image->info.width, image->info.height,
		image->info.from_store ? "stored" : "fresh", image->info.segment,
		(unsigned long long)image->info.offset, zeros, last);
}

/* Pixels that were truncated while they were read are no error of anybody's if the check says so. */
static int fetch_checked(const char *name, unsigned long expected, struct shmsem_error *error)
{
	const struct shmsem_request request = {.name = name};
	struct shmsem_image image;
	int status = shmsem_fetch(client, &request, &image, error);

	if (status)
		return status;
	if (expected && sum(&image) != expected) {
		status = shmsem_check(&image, error);
		if (!status) {
			describe(&image, name, error);
			status = WRONG;
		}
	}
	shmsem_release(&image);
	return status;
}

static void repeat(unsigned count, const char *name, unsigned long expected)
{
	struct shmsem_error error = {0};
	int status = 0;

	for (unsigned i = 0; i < count && !status; i++) {
		uint64_t begin = clock_now();

		status = fetch_checked(name, expected, &error);
		sample(begin);
	}
	print_result(status, &error);
}

static void take_turns(unsigned count, const char *space, const char *name, unsigned long expected)
{
	struct shmsem_error error = {0};
	int status = 0;

	for (unsigned i = 0; i < count && !status; i++) {
		uint64_t begin = clock_now();

		status = connect_to(space, 0, 60000, 60000, &error);
		if (!status)
			status = fetch_checked(name, expected, &error);
		sample(begin);
		shmsem_close(client);
		client = NULL;
	}
	print_result(status, &error);
}

static int count_name(void *context, const char *name)
{
	(void)name;
	++*(unsigned *)context;
	return 0;
}

static void post(const char *name, unsigned long count)
{
	sem_t *semaphore = sem_open(name, 0);
	unsigned long posted = 0;

	if (semaphore == SEM_FAILED) {
		printf("66 no such semaphore\n");
		return;
	}
	while (posted < count && sem_post(semaphore) == 0)
		posted++;
	printf("0 %lu\n", posted);
	sem_close(semaphore);
}

static void slot_command(const char *command, unsigned slot)
{
	struct shmsem_error error = {0};
	struct shmsem_image *image = &images[slot % SLOTS];

	if (!strcmp(command, "sum"))
		printf("0 %lu\n", image->connection ? sum(image) : 0);
	else if (!strcmp(command, "check"))
		answer(shmsem_check(image, &error), &error);
	else {
		shmsem_release(image);
		answer(0, &error);
	}
}

static void obey(const char *command, char **words)
{
	struct shmsem_error error = {0};
	unsigned count = 0;
	int status;

	if (!strcmp(command, "connect")) {
		status = connect_to(words[0], atoi(words[1]), (unsigned)atoi(words[2]),
			(unsigned)atoi(words[3]), &error);
		answer(status, &error);
	} else if (!strcmp(command, "post")) {
		post(words[0], strtoul(words[1], NULL, 10));
	} else if (!strcmp(command, "turns")) {
		take_turns(
			(unsigned)atoi(words[0]), words[1], words[2], strtoul(words[3], NULL, 10));
	} else if (!strcmp(command, "log")) {
		printf("%d\n", seat_log_open(words[0], (unsigned)atoi(words[1])) ? 70 : 0);
	} else if (!client) {
		printf("64 not connected\n");
	} else if (!strcmp(command, "fetch")) {
		fetch(words[0]);
	} else if (!strcmp(command, "repeat")) {
		repeat((unsigned)atoi(words[0]), words[1], strtoul(words[2], NULL, 10));
	} else if (!strcmp(command, "ping")) {
		status = shmsem_ping(client, &error);
		answer(status, &error);
	} else if (!strcmp(command, "names")) {
		status = shmsem_names(client, count_name, &count, &error);
		if (status)
			answer(status, &error);
		else
			printf("0 %u\n", count);
	} else if (!strcmp(command, "close")) {
		shmsem_close(client);
		client = NULL;
		printf("0 \n");
	} else {
		slot_command(command, (unsigned)atoi(words[0]));
	}
}

int main(void)
{
	char line[2048];

	while (fgets(line, sizeof line, stdin)) {
		char *words[8] = {0}, *rest = line;
		static char nothing[] = "0";

		for (size_t i = 0; i < 8; i++) {
			words[i] = strsep(&rest, " \n");
			if (!words[i])
				words[i] = nothing;
		}
		obey(words[0], words + 1);
		fflush(stdout);
	}
	shmsem_close(client);
	return 0;
}
