/* What codecs do once in a process, done early. */
#include "dynload/libjpeg.h"
#include "image/image.h"

#include <setjmp.h>
#include <stdlib.h>

struct job {
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr manager;
	jmp_buf jump;
	unsigned char *file;
	unsigned long size;
};

static void on_error(j_common_ptr jpeg)
{
	struct job *job = jpeg->client_data;

	longjmp(job->jump, 1);
}

static void compress(struct job *job)
{
	uint8_t samples[8] = {0};
	JSAMPROW row = samples;

	if (setjmp(job->jump))
		return;
	jpeg_create_compress(&job->jpeg);
	jpeg_mem_dest(&job->jpeg, &job->file, &job->size);
	job->jpeg.image_width = job->jpeg.image_height = 8;
	job->jpeg.input_components = 1;
	job->jpeg.in_color_space = JCS_GRAYSCALE;
	jpeg_set_defaults(&job->jpeg);
	jpeg_start_compress(&job->jpeg, TRUE);
	while (job->jpeg.next_scanline < job->jpeg.image_height)
		jpeg_write_scanlines(&job->jpeg, &row, 1);
	jpeg_finish_compress(&job->jpeg);
}

/* libjpeg-turbo looks for what the processor can do when it first needs to know, for compression
 * and decompression alike; on ARM it reads /proc/cpuinfo for that. */
int image_prepare(struct error *err)
{
	struct job job = {0};
	int status = libjpeg_load(err);

	if (status)
		return status;
	job.jpeg.err = jpeg_std_error(&job.manager);
	job.jpeg.client_data = &job;
	job.manager.error_exit = on_error;
	compress(&job);
	jpeg_destroy_compress(&job.jpeg);
	free(job.file);
	return STATUS_OK;
}
