/* Tar files for tests, member by member. To be included behind test.h. */
#pragma once

#include "base/io.h"
#include "server/tar_header.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct tar_sample {
	uint8_t *data;
	size_t size, room;
};

static inline uint8_t *tar_bytes(struct tar_sample *tar, const void *data, size_t size)
{
	uint8_t *at;

	if (tar->size + size > tar->room) {
		tar->room = 2 * (tar->size + size);
		tar->data = realloc(tar->data, tar->room);
		assert_non_null(tar->data);
	}
	at = tar->data + tar->size;
	memset(at, 0, size);
	if (data && size)
		memcpy(at, data, size);
	tar->size += size;
	return at;
}

static inline void tar_sign(uint8_t *header)
{
	unsigned sum = 0;

	memset(header + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
}

/* A header alone, which says `size`; where it is in tar->data. */
static inline uint8_t *tar_header(
	struct tar_sample *tar, char type, const char *name, uint64_t size)
{
	uint8_t *header = tar_bytes(tar, NULL, TAR_BLOCK);

	memcpy(header, name, strnlen(name, 100));
	memcpy(header + 100, "0000644", 8);
	snprintf((char *)header + 124, 12, "%011llo", (unsigned long long)(size & 077777777777));
	header[156] = (uint8_t)type;
	memcpy(header + 257,
		"ustar\0"
		"00",
		8);
	tar_sign(header);
	return header;
}

static inline void tar_data(struct tar_sample *tar, const void *data, size_t size)
{
	tar_bytes(tar, data, size);
	tar_bytes(tar, NULL, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

static inline void tar_add(
	struct tar_sample *tar, char type, const char *name, const void *data, size_t size)
{
	tar_header(tar, type, name, size);
	tar_data(tar, data, size);
}

/* A pax header of these records, or a GNU one of a long name. */
static inline void tar_extend(struct tar_sample *tar, char type, const char *text)
{
	tar_add(tar, type, "extended", text, strlen(text) + (type == 'L'));
}

static inline void tar_end(struct tar_sample *tar)
{
	tar_bytes(tar, NULL, 2 * TAR_BLOCK);
}

static inline int tar_file(const struct tar_sample *tar)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, tar->data, tar->size), 0);
	return fd;
}

static inline void tar_free(struct tar_sample *tar)
{
	free(tar->data);
	*tar = (struct tar_sample){0};
}
