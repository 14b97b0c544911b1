/*
 * The checksums of a PNG: by libdeflate, which uses what vectors the processor has, or by zlib.
 */
#pragma once

#include "config.h"

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#if HAVE_DEFLATE

#include "dynload/libdeflate.h"

static inline uint32_t checksum_crc32(const uint8_t *data, size_t size)
{
	return libdeflate_crc32(0, data, size);
}

/* Of what `before` is the sum of, 1 for nothing, and what follows it. */
static inline uint32_t checksum_adler32(uint32_t before, const uint8_t *data, size_t size)
{
	return libdeflate_adler32(before, data, size);
}

/* Loads the library, and has it look at the processor, which it does once: before the first of the
 * others, and before system calls are forbidden. */
static inline int checksum_prepare(struct error *err)
{
	static const uint8_t byte[1];
	int status = libdeflate_load(err);

	if (status)
		return status;
	checksum_crc32(byte, sizeof byte);
	checksum_adler32(1, byte, sizeof byte);
	return STATUS_OK;
}

#else

#include "dynload/libz.h"

static inline uint32_t checksum_crc32(const uint8_t *data, size_t size)
{
	return (uint32_t)crc32_z(0, data, size);
}

static inline uint32_t checksum_adler32(uint32_t before, const uint8_t *data, size_t size)
{
	return (uint32_t)adler32_z(before, data, size);
}

static inline int checksum_prepare(struct error *err)
{
	return libz_load(err);
}

#endif
