#include "bench/decode.h"

#include "bench/plain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAYS_MAX 6

/* Pixels from which on what is done once for an image does not count. */
#define MEDIUM_LEAST 500000

int decode_job_init(struct decode_job *job, const struct picture *picture, uint8_t scale, int way,
	struct error *err)
{
	struct image_options options = {.scale = scale, .flags = IMAGE_KEEP_ORIENTATION};
	int status;

	*job = (struct decode_job){.picture = picture,
		.format = image_sniff(picture->data, picture->size),
		.way = way,
		.scale = scale};
	status = image_reader_new(&job->reader, err);
	if (status)
		return status;
	status = image_probe(
		job->reader, picture->data, picture->size, &options, NULL, &job->info, err);
	if (status)
		return error_prefix(err, status, "'%s'", picture->name);
	/* libpng scales nothing, CMYK has four channels before it is converted. */
	job->room = (size_t)job->info.file_width * job->info.file_height * 4;
	job->pixels = malloc(job->room);
	if (!job->pixels)
		return error_os(err, ENOMEM, "no room for the pixels of '%s'", picture->name);
	memset(job->pixels, 1, job->room);
	return STATUS_OK;
}

void decode_job_release(struct decode_job *job)
{
	image_reader_free(job->reader);
	free(job->pixels);
	*job = (struct decode_job){0};
}

struct decode_job decode_job_borrow(const struct decode_job *job, int way)
{
	struct decode_job borrowed = *job;

	borrowed.way = way;
	return borrowed;
}

static int decode_once(struct decode_job *job, struct error *err)
{
	const struct image_options options = {.scale = job->way == DECODE_WHOLE ? 1 : job->scale,
		.flags = IMAGE_KEEP_ORIENTATION};
	const struct picture *picture = job->picture;
	int status;

	if (job->way < DECODE_SHMSEM)
		return plain_decode(job->format, (enum plain_way)job->way, picture->data,
			picture->size, job->scale, job->pixels, job->room, err);
	image_reader_by_libpng(job->reader, job->way == DECODE_LIBPNG);
	status = image_probe(
		job->reader, picture->data, picture->size, &options, NULL, &job->info, err);
	if (status || job->way == DECODE_PROBE)
		return status;
	return image_decode(job->reader, job->pixels, job->room, NULL, err);
}

static int run_decode(void *context, uint64_t operations, struct error *err)
{
	struct decode_job *job = context;

	for (uint64_t i = 0; i < operations; i++) {
		int status = decode_once(job, err);

		if (status)
			return error_prefix(err, status, "'%s'", job->picture->name);
	}
	return STATUS_OK;
}

int decode_make(void *context, size_t size, const uint8_t **ret_pixels, struct error *err)
{
	struct decode_job *job = context;
	int status = run_decode(job, 1, err);

	if (status)
		return status;
	if (size > job->room)
		return error_set(err, STATUS_INTERNAL, "'%s' has fewer pixels than thought",
			job->picture->name);
	*ret_pixels = job->pixels;
	return STATUS_OK;
}

static const char *way_name(const struct decode_job *job)
{
	switch (job->way) {
	case DECODE_SHMSEM:
		return "shmsem";
	case DECODE_PROBE:
		return "shmsem-header";
	case DECODE_LIBPNG:
		return "shmsem, by libpng alone";
	case DECODE_WHOLE:
		return "shmsem, full size";
	case PLAIN_FAST:
		return "libjpeg-fast";
	case PLAIN_EASY:
		return "libpng-simplified";
	default: /* PLAIN_ROWS */
		return job->format == IMAGE_FORMAT_JPEG ? "libjpeg" : "libpng";
	}
}

struct bench_subject decode_subject(struct decode_job *job)
{
	return (struct bench_subject){.name = way_name(job), .context = job, .run = run_decode};
}

/* What comes beside the limit; how many ways. A reduced PNG is to cost no more than the whole. */
static size_t choose_ways(enum image_format format, uint8_t scale, int ways[WAYS_MAX])
{
	static const int jpeg[] = {PLAIN_ROWS, PLAIN_FAST, DECODE_SHMSEM, DECODE_PROBE};
	static const int png[] = {
		PLAIN_ROWS, PLAIN_EASY, DECODE_SHMSEM, DECODE_PROBE, DECODE_LIBPNG, DECODE_WHOLE};

	if (format == IMAGE_FORMAT_JPEG) {
		memcpy(ways, jpeg, sizeof jpeg);
		return sizeof jpeg / sizeof *jpeg;
	}
	memcpy(ways, png, sizeof png);
	return sizeof png / sizeof *png - (scale == 1);
}

/* Of a reduced PNG; the last row is the whole one. */
static void note_scale(struct bench_session *session, const struct decode_job *job,
	const struct bench_result *rows, size_t count)
{
	const struct image_info *info = &job->info;

	if (job->format == IMAGE_FORMAT_PNG && job->scale > 1 &&
		(uint64_t)info->file_width * info->file_height >= MEDIUM_LEAST)
		goal_note(&session->report.goals, GOAL_REDUCED,
			rows[2].ratio / rows[count - 1].ratio);
}

static int measure_one(struct bench_session *session, const struct picture *picture, uint8_t scale,
	struct error *err)
{
	AUTO_DECODE_JOB struct decode_job limit = {0};
	struct decode_job jobs[WAYS_MAX];
	struct bench_subject subjects[WAYS_MAX];
	struct bench_result *rows;
	char group[64];
	int ways[WAYS_MAX];
	size_t count;
	int status = decode_job_init(&limit, picture, scale, PLAIN_ROWS, err);

	if (status)
		return status;
	count = choose_ways(limit.format, scale, ways);
	for (size_t i = 0; i < count; i++) {
		jobs[i] = decode_job_borrow(&limit, ways[i]);
		subjects[i] = decode_subject(&jobs[i]);
	}
	snprintf(group, sizeof group, "%.32s %ux%u, scale 1/%u", picture->name,
		limit.info.file_width, limit.info.file_height, scale);
	status = session_measure(
		session, "decode", group, limit.info.bytes, subjects, count, &rows, err);
	if (status)
		return status;
	for (int i = 0; limit.format == IMAGE_FORMAT_PNG && scale > 1 && i < 2; i++)
		snprintf(rows[i].note, sizeof rows[i].note, "does not scale");
	note_scale(session, &limit, rows, count);
	return STATUS_OK;
}

int decode_measure(struct bench_session *session, const struct pictures *pictures, size_t scales,
	struct error *err)
{
	for (size_t i = 0; i < pictures->count; i++) {
		for (size_t k = 0; k < scales; k++) {
			int status = measure_one(
				session, &pictures->list[i], (uint8_t)(1 << k), err);

			if (status)
				return status;
		}
	}
	return STATUS_OK;
}
