/* What is used of zlib. */
#pragma once

#include "dynload/dynload.h"

#include <zlib.h>

#define LIBZ(F)          \
	F(adler32_z)     \
	F(crc32_z)       \
	F(inflate)       \
	F(inflateEnd)    \
	F(inflateInit2_) \
	F(inflateReset)

struct libz {
	LIBZ(DYNLOAD_MEMBER)
};

extern struct libz libz;

int libz_load(struct error *err);

#define adler32_z     libz.adler32_z
#define crc32_z       libz.crc32_z
#define inflate       libz.inflate
#define inflateEnd    libz.inflateEnd
#define inflateInit2_ libz.inflateInit2_
#define inflateReset  libz.inflateReset
