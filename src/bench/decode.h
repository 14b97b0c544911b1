/*
 * Decoding in this process, into warm memory: the libraries used plainly, and shmsem's own layer
 * over them.
 */
#pragma once

#include "bench/pictures.h"
#include "bench/session.h"
#include "image/image.h"

/* One image, one scale, one way; a subject's context. */
struct decode_job {
	const struct picture *picture;
	enum image_format format;
	int way;                     /* enum plain_way, or one of those below */
	uint8_t scale;               /* 1, 2, 4 or 8 */
	struct image_reader *reader; /* for those below */
	struct image_info info;      /* as shmsem delivers it */
	uint8_t *pixels;
	size_t room;
};

#define DECODE_SHMSEM 100 /* image_probe and image_decode */
#define DECODE_PROBE  101 /* image_probe alone: the header */
#define DECODE_LIBPNG 102 /* as DECODE_SHMSEM, but PNG by libpng alone */
#define DECODE_WHOLE  103 /* as DECODE_SHMSEM, but at full size */

/* Looks at the image and makes room for its pixels, which are touched. Release also after an error.
 * Pixels may be shared by jobs of the same picture and scale: see decode_job_borrow. */
int decode_job_init(struct decode_job *job, const struct picture *picture, uint8_t scale, int way,
	struct error *err);
void decode_job_release(struct decode_job *job);

#define AUTO_DECODE_JOB __attribute__((cleanup(decode_job_release)))

/* The same picture, scale and memory, in another way; not to be released. */
struct decode_job decode_job_borrow(const struct decode_job *job, int way);

/* A subject that decodes over and over. */
struct bench_subject decode_subject(struct decode_job *job);

/* A payload_make (transport.h): decodes the job's image once more. */
int decode_make(void *job, size_t size, const uint8_t **ret_pixels, struct error *err);

/* Each picture has the whole size, and three scales below it. */
#define DECODE_SCALES 4

/* Each picture at the first `scales` scales in each way that its format has: a group for each. */
int decode_measure(struct bench_session *session, const struct pictures *pictures, size_t scales,
	struct error *err);
