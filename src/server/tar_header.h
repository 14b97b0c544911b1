/*
 * The headers of tar files: ustar, pax and what GNU tar writes. From bytes that anybody may have
 * made; nothing here reads a file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK ((size_t)512)

enum tar_kind {
	TAR_END,  /* a block of zeros */
	TAR_FILE, /* a plain member; of the oldest programs also a folder, whose name ends in '/' */
	TAR_LINK, /* hard or symbolic */
	TAR_SPARSE,    /* a file with holes that are left out */
	TAR_SPECIAL,   /* a device, a FIFO, part of a file, or of a type that nobody knows */
	TAR_FOLDER,    /* and what else is no member: a volume's label, say */
	TAR_PAX,       /* its data say more of the next member */
	TAR_LONG_NAME, /* its data are the next member's name */
	TAR_IGNORED,   /* its data are of no interest */
};

struct tar_header {
	enum tar_kind kind;
	uint64_t size;    /* bytes of data, without what fills the last block */
	bool has_data;    /* its kind has: a size that is said elsewhere counts */
	bool more_blocks; /* of a map of holes follow */
	char name[257];
};

/* NULL, or what is wrong with the block. */
const char *tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *ret);

/* Of a block of a map of holes: whether another follows. */
bool tar_sparse_more(const uint8_t block[TAR_BLOCK]);

/* What the data of TAR_PAX say. */
struct tar_pax {
	const char *name; /* in the data, not ended; NULL: nothing */
	size_t name_length;
	bool has_size, sparse, sparse_name;
	uint64_t size;
};

/* NULL, or what is wrong with the data. */
const char *tar_pax_read(const char *data, size_t size, struct tar_pax *ret);
