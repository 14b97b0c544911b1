/*
 * JPEG by libjpeg. encode_jpeg() owns the job and its memory; run() is what setjmp covers, and has
 * no local that changes.
 */
#include "base/text.h"
#include "dynload/libjpeg.h"
#include "image/codecs.h"

#include <errno.h>
#include <jerror.h>
#include <setjmp.h>
#include <string.h>

struct job {
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr manager;
	jmp_buf jump;
	FILE *file;
	const struct encode_image *image;
	int quality;
	int status;
	struct error *err;
};

static void on_error(j_common_ptr jpeg)
{
	struct job *job = jpeg->client_data;
	int os_error = errno;
	char raw[JMSG_LENGTH_MAX], text[JMSG_LENGTH_MAX];

	if (jpeg->err->msg_code == JERR_FILE_WRITE) {
		job->status = encode_write_error(os_error, job->err);
	} else {
		jpeg->err->format_message(jpeg, raw);
		job->status = error_set(job->err, STATUS_INTERNAL, "cannot make a JPEG: %s",
			text_escape(raw, strlen(raw), text, sizeof text));
	}
	longjmp(job->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
	(void)jpeg;
	(void)level;
}

static void put_header(struct job *job)
{
	const struct encode_image *image = job->image;
	struct jpeg_compress_struct *jpeg = &job->jpeg;

	jpeg->image_width = image->width;
	jpeg->image_height = image->height;
	jpeg->input_components = image->channels;
	jpeg->in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
	jpeg_set_defaults(jpeg);
	jpeg_set_quality(jpeg, job->quality, TRUE);
	jpeg_start_compress(jpeg, TRUE);
	if (image->icc && image->icc_bytes)
		jpeg_write_icc_profile(jpeg, image->icc, (unsigned)image->icc_bytes);
}

static void write_rows(struct job *job)
{
	const uint8_t *pixels = job->image->pixels;
	size_t stride = (size_t)job->image->width * job->image->channels;

	while (job->jpeg.next_scanline < job->jpeg.image_height) {
		JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + job->jpeg.next_scanline * stride);

		jpeg_write_scanlines(&job->jpeg, &row, 1);
	}
	jpeg_finish_compress(&job->jpeg);
}

static void run(struct job *job)
{
	if (setjmp(job->jump))
		return;
	jpeg_create_compress(&job->jpeg);
	errno = 0;
	jpeg_stdio_dest(&job->jpeg, job->file);
	put_header(job);
	write_rows(job);
}

int encode_jpeg(FILE *file, const struct encode_image *image, int quality, struct error *err)
{
	struct job job = {.file = file, .image = image, .quality = quality, .err = err};
	int status = libjpeg_load(err);

	if (status)
		return status;
	job.jpeg.err = jpeg_std_error(&job.manager);
	job.jpeg.client_data = &job;
	job.manager.error_exit = on_error;
	job.manager.emit_message = on_message;
	run(&job);
	jpeg_destroy_compress(&job.jpeg);
	return job.status;
}
