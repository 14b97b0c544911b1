/*
 * PNG by libpng. encode_png() owns the job and its memory; run() is what setjmp covers, and has no
 * local that changes.
 */
#include "base/text.h"
#include "dynload/libpng.h"
#include "image/codecs.h"
#include "image/png_colours.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

struct job {
	FILE *file;
	const struct encode_image *image;
	struct error *err;
	int status;
	jmp_buf jump;
	png_structp png;
	png_infop info;
};

static void on_error(png_structp png, png_const_charp message)
{
	struct job *job = png_get_error_ptr(png);
	char text[200];

	/* a failed write has said so already */
	if (job->status == STATUS_OK)
		job->status = error_set(job->err, STATUS_INTERNAL, "cannot make a PNG: %s",
			text_escape(message, strlen(message), text, sizeof text));
	longjmp(job->jump, 1);
}

/* What libpng finds odd, it leaves out. */
static void on_warning(png_structp png, png_const_charp message)
{
	(void)png;
	(void)message;
}

static void write_bytes(png_structp png, png_bytep bytes, size_t size)
{
	struct job *job = png_get_io_ptr(png);

	errno = 0;
	if (fwrite(bytes, 1, size, job->file) == size)
		return;
	job->status = encode_write_error(errno, job->err);
	png_error(png, "write error");
}

/* The caller flushes. */
static void flush_nothing(png_structp png)
{
	(void)png;
}

/* A colour profile is written in place of sRGB. */
static void put_colours(struct job *job)
{
	const struct encode_image *image = job->image;
	const int32_t *at = image->chromaticities;

	if (png_gamma_is_possible(image->gamma))
		png_set_gAMA_fixed(job->png, job->info, (png_fixed_point)image->gamma);
	if (png_chromaticities_are_possible(at))
		png_set_cHRM_fixed(job->png, job->info, at[0], at[1], at[2], at[3], at[4], at[5],
			at[6], at[7]);
	if (image->srgb && image->srgb <= PNG_sRGB_INTENT_LAST)
		png_set_sRGB(job->png, job->info, image->srgb - 1);
	if (image->icc)
		png_set_iCCP(job->png, job->info, "ICC profile", PNG_COMPRESSION_TYPE_BASE,
			image->icc, (png_uint_32)image->icc_bytes);
}

static void put_header(struct job *job)
{
	static const int types[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
		PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
	const struct encode_image *image = job->image;

	png_set_user_limits(job->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_benign_errors(job->png, 1);
	png_set_IHDR(job->png, job->info, image->width, image->height, image->bits,
		types[image->channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
		PNG_FILTER_TYPE_DEFAULT);
	put_colours(job);
	png_write_info(job->png, job->info);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (image->bits == 16)
		png_set_swap(job->png);
#endif
}

static void write_rows(struct job *job)
{
	const struct encode_image *image = job->image;
	const uint8_t *row = image->pixels;
	size_t stride = (size_t)image->width * image->channels * image->bits / 8;

	for (uint32_t y = 0; y < image->height; y++, row += stride)
		png_write_row(job->png, row);
	png_write_end(job->png, job->info);
}

static void run(struct job *job)
{
	if (setjmp(job->jump))
		return;
	job->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, job, on_error, on_warning);
	if (job->png)
		job->info = png_create_info_struct(job->png);
	if (!job->info) {
		job->status = error_set(job->err, STATUS_TRY_AGAIN, "out of memory");
		return;
	}
	png_set_write_fn(job->png, job, write_bytes, flush_nothing);
	put_header(job);
	write_rows(job);
}

int encode_png(FILE *file, const struct encode_image *image, struct error *err)
{
	struct job job = {.file = file, .image = image, .err = err};
	int status = libpng_load(err);

	if (status)
		return status;
	run(&job);
	png_destroy_write_struct(&job.png, &job.info);
	return job.status;
}
