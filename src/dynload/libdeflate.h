/* What is used of libdeflate. */
#pragma once

#include "dynload/dynload.h"

#include <libdeflate.h>

#define LIBDEFLATE(F)         \
	F(libdeflate_adler32) \
	F(libdeflate_crc32)

struct libdeflate {
	LIBDEFLATE(DYNLOAD_MEMBER)
};

extern struct libdeflate libdeflate;

int libdeflate_load(struct error *err);

#define libdeflate_adler32 libdeflate.libdeflate_adler32
#define libdeflate_crc32   libdeflate.libdeflate_crc32
