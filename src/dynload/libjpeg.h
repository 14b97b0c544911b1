/* What is used of libjpeg-turbo. */
#pragma once

#include "dynload/dynload.h"

#include <stdio.h>

#include <jpeglib.h>

#define LIBJPEG(F)                   \
	F(jpeg_CreateCompress)       \
	F(jpeg_CreateDecompress)     \
	F(jpeg_destroy_compress)     \
	F(jpeg_destroy_decompress)   \
	F(jpeg_finish_compress)      \
	F(jpeg_finish_decompress)    \
	F(jpeg_mem_dest)             \
	F(jpeg_mem_src)              \
	F(jpeg_read_header)          \
	F(jpeg_read_scanlines)       \
	F(jpeg_set_defaults)         \
	F(jpeg_set_marker_processor) \
	F(jpeg_set_quality)          \
	F(jpeg_start_compress)       \
	F(jpeg_start_decompress)     \
	F(jpeg_std_error)            \
	F(jpeg_stdio_dest)           \
	F(jpeg_write_icc_profile)    \
	F(jpeg_write_scanlines)

struct libjpeg {
	LIBJPEG(DYNLOAD_MEMBER)
};

extern struct libjpeg libjpeg;

int libjpeg_load(struct error *err);

#define jpeg_CreateCompress       libjpeg.jpeg_CreateCompress
#define jpeg_CreateDecompress     libjpeg.jpeg_CreateDecompress
#define jpeg_destroy_compress     libjpeg.jpeg_destroy_compress
#define jpeg_destroy_decompress   libjpeg.jpeg_destroy_decompress
#define jpeg_finish_compress      libjpeg.jpeg_finish_compress
#define jpeg_finish_decompress    libjpeg.jpeg_finish_decompress
#define jpeg_mem_dest             libjpeg.jpeg_mem_dest
#define jpeg_mem_src              libjpeg.jpeg_mem_src
#define jpeg_read_header          libjpeg.jpeg_read_header
#define jpeg_read_scanlines       libjpeg.jpeg_read_scanlines
#define jpeg_set_defaults         libjpeg.jpeg_set_defaults
#define jpeg_set_marker_processor libjpeg.jpeg_set_marker_processor
#define jpeg_set_quality          libjpeg.jpeg_set_quality
#define jpeg_start_compress       libjpeg.jpeg_start_compress
#define jpeg_start_decompress     libjpeg.jpeg_start_decompress
#define jpeg_std_error            libjpeg.jpeg_std_error
#define jpeg_stdio_dest           libjpeg.jpeg_stdio_dest
#define jpeg_write_icc_profile    libjpeg.jpeg_write_icc_profile
#define jpeg_write_scanlines      libjpeg.jpeg_write_scanlines
