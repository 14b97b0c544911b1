#include "bench/fetch_many.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "bench/fetch_client.h"
#include "bench/plain.h"
#include "bench/served.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define IMAGES 64
#define DIGITS 2
#define SHARD  "shard.tar"
#define BLOCK  512 /* of a tar file */

/* What is done with each image of an epoch takes so long, on no CPU: one decoder can keep up. */
#define STEP_NS NS_PER_MS

/* Reads the images in order, and begins again. */
struct reader {
	struct fetch_client client;
	const struct pictures *pictures;
	const struct decode_job *job; /* decodes one of them here */
	const char *folder;           /* what the names begin with */
	size_t next;
	bool ahead; /* has the images of an epoch decoded ahead */
};

static void reader_release(struct reader *reader)
{
	fetch_client_release(&reader->client);
}

#define AUTO_READER __attribute__((cleanup(reader_release)))

/* The first image is compared with what a decode in this process makes of it. */
static int reader_init(struct reader *reader, const struct served *served, struct error *err)
{
	char name[sizeof reader->client.name];
	int status;

	snprintf(name, sizeof name, "%.16s%.32s", reader->folder, reader->pictures->list[0].name);
	status = fetch_client_init(&reader->client, served, name, true, err);
	return status ? status : fetch_check_pixels(&reader->client, reader->job, err);
}

static int read_next(struct reader *reader, struct error *err)
{
	char name[sizeof reader->client.name];
	const struct shmsem_request request = {.name = name, .flags = SHMSEM_KEEP_ORIENTATION};
	struct shmsem_error error;
	struct shmsem_image image;
	bool stored;

	reader->next = (reader->next + 1) % IMAGES;
	snprintf(name, sizeof name, "%.16s%.32s", reader->folder,
		reader->pictures->list[reader->next].name);
	if (shmsem_fetch(reader->client.client, &request, &image, &error))
		return served_error(&error, err);
	stored = image.info.from_store;
	shmsem_release(&image);
	return stored && !reader->ahead
		       ? error_set(err, STATUS_INTERNAL, "'%s' was not decoded anew", name)
		       : STATUS_OK;
}

static int run_reads(void *context, uint64_t operations, struct error *err)
{
	int status = STATUS_OK;

	for (uint64_t i = 0; !status && i < operations; i++)
		status = read_next(context, err);
	return status;
}

static int touch_all(void *context, struct error *err)
{
	const struct reader *reader = context;
	int status = STATUS_OK;

	for (size_t i = 0; !status && i < IMAGES; i++)
		status = served_touch(reader->client.served, reader->pictures->list[i].name, err);
	return status;
}

/* In the order in which they will be read. */
static int list_all(const struct reader *reader, struct error *err)
{
	struct shmsem_error error;

	for (size_t i = 1; i <= IMAGES; i++) {
		const char *name = reader->pictures->list[(reader->next + i) % IMAGES].name;
		const struct shmsem_request request = {
			.name = name, .flags = SHMSEM_KEEP_ORIENTATION};

		if (shmsem_prefetch(reader->client.client, &request, NULL, &error))
			return served_error(&error, err);
	}
	return STATUS_OK;
}

static int run_epochs(void *context, uint64_t operations, struct error *err)
{
	struct reader *reader = context;
	const struct timespec step = clock_timespec(STEP_NS);
	int status = STATUS_OK;

	for (uint64_t i = 0; !status && i < operations; i++) {
		if (reader->ahead)
			status = list_all(reader, err);
		for (size_t j = 0; !status && j < IMAGES; j++) {
			status = read_next(reader, err);
			nanosleep(&step, NULL);
		}
	}
	return status;
}

static int measure_epoch(struct bench_session *session, const struct pictures *pictures,
	const struct decode_job *job, struct error *err)
{
	const struct served_options options = {
		.decoders = 1, .seats = 4, .cache = IMAGES / 2 * job->info.bytes, .cpu = -1};
	AUTO_SERVED struct served served = {0};
	AUTO_READER struct reader asking = {.pictures = pictures, .job = job, .folder = ""};
	AUTO_READER struct reader ahead = asking;
	const struct bench_subject subjects[] = {
		{"as asked for", &asking, .run = run_epochs, .before = touch_all},
		{"decoded ahead", &ahead, .run = run_epochs, .before = touch_all},
	};
	int status = served_start(&served, pictures, &options, &session->report.machine, err);

	ahead.ahead = true;
	if (!status)
		status = reader_init(&asking, &served, err);
	if (!status)
		status = reader_init(&ahead, &served, err);
	return status ? status
		      : session_measure(session, "fetch", "first epoch, 64 images",
				IMAGES * job->info.bytes, subjects, 2, NULL, err);
}

/* A header of ustar, as tar(5) has it. */
static void fill_header(const struct picture *picture, char header[BLOCK])
{
	unsigned sum = 0;

	memset(header, 0, BLOCK);
	snprintf(header, 100, "%s", picture->name);
	snprintf(header + 100, 8, "%07o", 0644);
	snprintf(header + 124, 12, "%011llo", (unsigned long long)picture->size);
	memset(header + 148, ' ', 8); /* the sum is taken with spaces in its place */
	memcpy(header + 156, "0\0", 2);
	memcpy(header + 257,
		"ustar\0"
		"00",
		8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)header[i];
	snprintf(header + 148, 8, "%06o", sum);
}

static int write_shard(
	const struct served *served, const struct pictures *pictures, struct error *err)
{
	char path[sizeof served->folder + 16], block[BLOCK];
	const char zeros[2 * BLOCK] = {0};
	AUTO_CLOSE int fd = -1;
	int failed;

	snprintf(path, sizeof path, "%s/" SHARD, served->folder);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	failed = fd < 0;
	for (size_t i = 0; !failed && i < IMAGES; i++) {
		const struct picture *picture = &pictures->list[i];

		fill_header(picture, block);
		failed = write_full(fd, block, BLOCK) ||
			 write_full(fd, picture->data, picture->size) ||
			 write_full(fd, zeros, (BLOCK - picture->size % BLOCK) % BLOCK);
	}
	return failed || write_full(fd, zeros, sizeof zeros)
		       ? error_os(err, errno, "cannot write '%s'", path)
		       : STATUS_OK;
}

static int measure_shard(struct bench_session *session, const struct pictures *pictures,
	const struct decode_job *job, struct error *err)
{
	/* Room for two: each image is gone when its turn comes again, and its shard is known. */
	const struct served_options options = {
		.decoders = 1, .seats = 4, .cache = 2 * job->info.bytes + (1 << 20), .cpu = -1};
	AUTO_SERVED struct served served = {0};
	AUTO_READER struct reader plain = {.pictures = pictures, .job = job, .folder = ""};
	AUTO_READER struct reader shard = {.pictures = pictures, .job = job, .folder = SHARD "/"};
	const struct bench_subject subjects[] = {
		{"plain file", &plain, .run = run_reads},
		{"member of a shard", &shard, .run = run_reads},
	};
	int status = served_start(&served, pictures, &options, &session->report.machine, err);

	if (!status)
		status = write_shard(&served, pictures, err);
	if (!status)
		status = reader_init(&plain, &served, err);
	if (!status)
		status = reader_init(&shard, &served, err);
	return status ? status
		      : session_measure(session, "fetch", "tar shard, 64 images", job->info.bytes,
				subjects, 2, NULL, err);
}

int fetch_measure_many(struct bench_session *session, struct error *err)
{
	AUTO_PICTURES struct pictures small = {0};
	AUTO_FREE struct picture *copies = NULL;
	AUTO_DECODE_JOB struct decode_job job = {0};
	struct pictures pictures = {.count = IMAGES};
	int status = pictures_draw_small(&small, err);

	if (!status)
		status = decode_job_init(&job, small.list, 1, PLAIN_ROWS, err);
	if (status)
		return status;
	pictures.list = copies = pictures_renamed(small.list, IMAGES, DIGITS);
	if (!copies)
		return error_os(err, ENOMEM, "cannot measure");
	status = measure_epoch(session, &pictures, &job, err);
	return status ? status : measure_shard(session, &pictures, &job, err);
}
