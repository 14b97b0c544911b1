/* The function that owns a job is never the one that calls setjmp. */
#include "bench/plain.h"

#include "dynload/libjpeg.h"
#include "dynload/libpng.h"

#include <setjmp.h>
#include <string.h>

struct jpeg_job {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr manager;
	jmp_buf jump;
	enum plain_way way;
	const uint8_t *data;
	size_t size, room;
	unsigned scale;
	uint8_t *pixels;
	struct error *err;
};

static void jpeg_failed(j_common_ptr jpeg)
{
	struct jpeg_job *job = jpeg->client_data;
	char text[JMSG_LENGTH_MAX];

	jpeg->err->format_message(jpeg, text);
	error_set(job->err, STATUS_BAD_DATA, "%s", text);
	longjmp(job->jump, 1);
}

static void jpeg_quiet(j_common_ptr jpeg, int level)
{
	(void)jpeg;
	(void)level;
}

static int jpeg_run(struct jpeg_job *job)
{
	struct jpeg_decompress_struct *jpeg = &job->jpeg;
	size_t stride;

	if (setjmp(job->jump))
		return STATUS_BAD_DATA;
	jpeg_create_decompress(jpeg);
	jpeg_mem_src(jpeg, job->data, job->size);
	jpeg_read_header(jpeg, TRUE);
	jpeg->scale_num = 1;
	jpeg->scale_denom = job->scale;
	if (job->way == PLAIN_FAST) {
		jpeg->dct_method = JDCT_FASTEST;
		jpeg->do_fancy_upsampling = FALSE;
	}
	jpeg_start_decompress(jpeg);
	stride = (size_t)jpeg->output_width * (size_t)jpeg->output_components;
	if (stride * jpeg->output_height > job->room)
		return error_set(job->err, STATUS_INTERNAL, "the image is larger than foreseen");
	while (jpeg->output_scanline < jpeg->output_height) {
		JSAMPROW row = job->pixels + jpeg->output_scanline * stride;

		jpeg_read_scanlines(jpeg, &row, 1);
	}
	jpeg_finish_decompress(jpeg);
	return STATUS_OK;
}

static int decode_jpeg(struct jpeg_job *job)
{
	int status;

	job->jpeg.err = jpeg_std_error(&job->manager);
	job->jpeg.client_data = job;
	job->manager.error_exit = jpeg_failed;
	job->manager.emit_message = jpeg_quiet;
	status = jpeg_run(job);
	jpeg_destroy_decompress(&job->jpeg);
	return status;
}

struct png_job {
	png_structp png;
	png_infop info;
	const uint8_t *data;
	size_t left, room;
	uint8_t *pixels;
	struct error *err;
};

static void png_failed(png_structp png, png_const_charp text)
{
	struct png_job *job = png_get_error_ptr(png);

	error_set(job->err, STATUS_BAD_DATA, "%s", text);
	png_longjmp(png, 1);
}

static void png_quiet(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

static void png_give(png_structp png, png_bytep out, size_t size)
{
	struct png_job *job = png_get_io_ptr(png);

	if (size > job->left)
		png_error(png, "the file ends early");
	memcpy(out, job->data, size);
	job->data += size;
	job->left -= size;
}

static int png_run(struct png_job *job)
{
	png_structp png = job->png;
	size_t stride, height;
	int passes;

	if (setjmp(png_jmpbuf(png)))
		return STATUS_BAD_DATA;
	png_set_read_fn(png, job, png_give);
	png_read_info(png, job->info);
	png_set_expand(png);
	png_set_scale_16(png);
	passes = png_set_interlace_handling(png);
	png_read_update_info(png, job->info);
	stride = png_get_rowbytes(png, job->info);
	height = png_get_image_height(png, job->info);
	if (stride * height > job->room)
		return error_set(job->err, STATUS_INTERNAL, "the image is larger than foreseen");
	for (int pass = 0; pass < passes; pass++)
		for (size_t y = 0; y < height; y++)
			png_read_row(png, job->pixels + y * stride, NULL);
	png_read_end(png, NULL);
	return STATUS_OK;
}

static int decode_png(struct png_job *job)
{
	int status = STATUS_INTERNAL;

	job->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, job, png_failed, png_quiet);
	job->info = job->png ? png_create_info_struct(job->png) : NULL;
	if (job->info)
		status = png_run(job);
	else
		error_set(job->err, status, "cannot start libpng");
	png_destroy_read_struct(&job->png, &job->info, NULL);
	return status;
}

static int decode_png_easily(
	const void *data, size_t size, void *pixels, size_t room, struct error *err)
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	int done = png_image_begin_read_from_memory(&image, data, size);

	image.format &= ~(png_uint_32)(PNG_FORMAT_FLAG_LINEAR | PNG_FORMAT_FLAG_COLORMAP);
	if (done && PNG_IMAGE_SIZE(image) > room) {
		png_image_free(&image);
		return error_set(err, STATUS_INTERNAL, "the image is larger than foreseen");
	}
	if (done)
		done = png_image_finish_read(&image, NULL, pixels, 0, NULL);
	return done ? STATUS_OK : error_set(err, STATUS_BAD_DATA, "%s", image.message);
}

int plain_decode(enum image_format format, enum plain_way way, const void *data, size_t size,
	unsigned scale, void *pixels, size_t room, struct error *err)
{
	struct jpeg_job jpeg = {.way = way,
		.data = data,
		.size = size,
		.scale = scale,
		.pixels = pixels,
		.room = room,
		.err = err};
	struct png_job png = {
		.data = data, .left = size, .pixels = pixels, .room = room, .err = err};

	if (format == IMAGE_FORMAT_JPEG)
		return decode_jpeg(&jpeg);
	if (way == PLAIN_EASY)
		return decode_png_easily(data, size, pixels, room, err);
	return decode_png(&png);
}
