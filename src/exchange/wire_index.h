/*
 * The layout of INDEX, byte for byte (shmsem(7) tells it to others): from a name and options to the
 * answer, for requesters to read without asking.
 *
 * A page with the header; a page for each ring; then the table, which moves when it grows: entries of
 * 512 bytes. An entry lies at one of the WIRE_INDEX_PROBES places from its hash on, modulo the number
 * of entries, in no order.
 *
 * The server alone writes. Everything is read as HEAD is: copy it with wire_copy(), check the copy,
 * use the copy, and that only if the sequence word is the same before and after.
 */
#pragma once

#include "exchange/wire.h"

#define WIRE_INDEX_MAGIC    UINT64_C(0x007865646e696873) /* "shindex", 0 */
#define WIRE_RING_MAGIC     UINT64_C(0x0000676e69726873) /* "shring", 0, 0 */
#define WIRE_INDEX_PROBES   8
#define WIRE_INDEX_NAME_MAX 240
#define WIRE_INDEX_MAX      (UINT64_C(1) << 24) /* entries */
#define WIRE_RINGS          2

/* A requester has to find out by itself, every 100 ms, whether the server lives. */
#define WIRE_INDEX_PROBE 1

/* The bits of a thread's number in `owner`. */
#define WIRE_OWNER_LIVES 0x3fffffff

/*
 * An io_uring that the kernel writes to, in a page of its own. The server has it poll what tells of
 * changes: nothing has changed as long as `flags` has none of WIRE_RING_NOTED and `head` equals
 * `tail`. All are offsets into INDEX, of uint32_t.
 */
struct wire_ring {
	uint32_t flags, head, tail;
	uint32_t mark; /* offset of a struct wire_ring_mark in the same page */
};

/* IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN */
#define WIRE_RING_NOTED 6

/* A page without this is another than the kernel writes to: INDEX was truncated. */
struct wire_ring_mark {
	uint64_t magic, instance;
};

struct wire_index {
	uint64_t magic;
	uint32_t version, page; /* as in HEAD */
	uint64_t instance;      /* the server's, as in HEAD */
	uint32_t flags;         /* WIRE_INDEX_PROBE */
	uint32_t rings;         /* how many there are: 0 or 2 */
	uint64_t key[2];        /* of the hash: drawn at random by each server */
	uint64_t reserved[2];
	/* 64: odd while anything changes and when the server has ended, never 0, never the same
	 * again after a change. */
	_Atomic uint64_t sequence;
	_Atomic uint64_t table;   /* offset of the entries: whole pages */
	_Atomic uint64_t entries; /* a power of two */
	/* 88: with rings, the number of the thread that takes in what they note; the kernel takes
	 * it out when that ends (FUTEX_TID_MASK of linux/futex.h). */
	_Atomic uint32_t owner;
	uint32_t reserved2;
	uint64_t reserved3[4];
	struct wire_ring ring[WIRE_RINGS]; /* 128 */
};

struct wire_entry {
	uint64_t instance; /* 0: empty */
	uint64_t hash;
	uint32_t length; /* of the name */
	uint32_t reserved;
	uint64_t until;              /* CLOCK_MONOTONIC, ns: not to be believed later; 0: always */
	uint64_t words[4];           /* 32: the classic words of the answer */
	struct wire_answer answer;   /* 64 */
	struct wire_options options; /* 192 */
	char name[WIRE_INDEX_NAME_MAX]; /* 256 */
	uint64_t reserved2[2];
};

_Static_assert(offsetof(struct wire_index, sequence) == 64, "wire layout");
_Static_assert(offsetof(struct wire_index, owner) == 88, "wire layout");
_Static_assert(offsetof(struct wire_index, ring) == 128, "wire layout");
_Static_assert(sizeof(struct wire_index) == 160, "wire layout");
_Static_assert(offsetof(struct wire_entry, words) == 32, "wire layout");
_Static_assert(offsetof(struct wire_entry, answer) == 64, "wire layout");
_Static_assert(offsetof(struct wire_entry, options) == 192, "wire layout");
_Static_assert(offsetof(struct wire_entry, name) == 256, "wire layout");
_Static_assert(sizeof(struct wire_entry) == 512, "wire layout");

static inline size_t wire_table_size(size_t page, size_t entries)
{
	return (entries * sizeof(struct wire_entry) + page - 1) / page * page;
}

/* Bytes before the first table. */
static inline size_t wire_index_start(size_t page, unsigned rings)
{
	return (1 + (size_t)rings) * page;
}
