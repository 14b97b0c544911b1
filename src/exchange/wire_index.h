/*
 * The layout of INDEX, byte for byte (shmsem(7) tells it to others): from a name and options to the
 * answer, for requesters to read without asking.
 *
 * A page with the header; then `entries` entries of 512 bytes. An entry lies at one of the
 * WIRE_INDEX_PROBES places from its hash on, modulo the number of entries, in no order.
 *
 * The server alone writes. Everything is read as HEAD is: copy it with wire_copy(), check the copy,
 * use the copy, and that only if the sequence word is the same before and after.
 */
#pragma once

#include "exchange/wire.h"

#define WIRE_INDEX_MAGIC    UINT64_C(0x007865646e696873) /* "shindex", 0 */
#define WIRE_INDEX_PROBES   8
#define WIRE_INDEX_NAME_MAX 240
#define WIRE_INDEX_MAX      (UINT64_C(1) << 24) /* entries */

struct wire_index {
	uint64_t magic;
	uint32_t version, page; /* as in HEAD */
	uint64_t instance;      /* the server's, as in HEAD */
	uint64_t entries;       /* a power of two */
	uint64_t key[2];        /* of the hash: drawn at random by each server */
	uint64_t reserved[2];
	/* 64: odd while anything changes and when the server has ended, never 0, never the same
	 * again after a change. */
	_Atomic uint64_t sequence;
	uint64_t reserved2[7];
};

struct wire_entry {
	uint64_t instance; /* 0: empty */
	uint64_t hash;
	uint32_t length; /* of the name */
	uint32_t reserved;
	uint64_t reserved2;
	uint64_t words[4];              /* 32: the classic words of the answer */
	struct wire_answer answer;      /* 64 */
	struct wire_options options;    /* 192 */
	char name[WIRE_INDEX_NAME_MAX]; /* 256 */
	uint64_t reserved3[2];
};

_Static_assert(offsetof(struct wire_index, sequence) == 64, "wire layout");
_Static_assert(sizeof(struct wire_index) == 128, "wire layout");
_Static_assert(offsetof(struct wire_entry, words) == 32, "wire layout");
_Static_assert(offsetof(struct wire_entry, answer) == 64, "wire layout");
_Static_assert(offsetof(struct wire_entry, options) == 192, "wire layout");
_Static_assert(offsetof(struct wire_entry, name) == 256, "wire layout");
_Static_assert(sizeof(struct wire_entry) == 512, "wire layout");

static inline size_t wire_index_size(size_t page, size_t entries)
{
	return page + (entries * sizeof(struct wire_entry) + page - 1) / page * page;
}
