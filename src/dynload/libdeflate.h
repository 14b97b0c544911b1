/* What is used of libdeflate. */
#pragma once

#include "dynload/dynload.h"

#include <libdeflate.h>

#define LIBDEFLATE(F)                    \
	F(libdeflate_adler32)            \
	F(libdeflate_alloc_decompressor) \
	F(libdeflate_crc32)              \
	F(libdeflate_free_decompressor)  \
	F(libdeflate_zlib_decompress_ex)

struct libdeflate {
	LIBDEFLATE(DYNLOAD_MEMBER)
};

extern struct libdeflate libdeflate;

int libdeflate_load(struct error *err);

#define libdeflate_adler32            libdeflate.libdeflate_adler32
#define libdeflate_alloc_decompressor libdeflate.libdeflate_alloc_decompressor
#define libdeflate_crc32              libdeflate.libdeflate_crc32
#define libdeflate_free_decompressor  libdeflate.libdeflate_free_decompressor
#define libdeflate_zlib_decompress_ex libdeflate.libdeflate_zlib_decompress_ex
