/*
 * The layout of HEAD, byte for byte (shmsem(7) tells it to others).
 *
 * HEAD is `seats` pages, one a seat; then the server's page; then pages of per-seat counters; then
 * for each seat the pages of its holds. How large a page is stands at 52. A seat's page:
 *
 *	   0  classic words of the answer: bytes, width, height, channels
 *	  32  constant: magic, version, number of seats, number of data segments, page, instance
 *	  64  request state: sequence number << 8 | state; then the request
 *	 192  the answer
 *	 320  the name asked for
 *	1344  the answer's text: an error message, or a list of names
 *
 * Everything here can be changed by the other side at any time: copy it with wire_copy(), check the
 * copy, use the copy. What the sides write in turn lies on different cache lines.
 */
#pragma once

#include "base/image_options.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WIRE_MAGIC        UINT64_C(0x0001006d65736d68) /* "hmsem", 0, 1, 0 */
#define WIRE_VERSION      2
#define WIRE_PAGE         4096 /* the smallest page, and what a seat's page has in it */
#define WIRE_PAGE_MAX     65536
#define WIRE_NAME_MAX     1024
#define WIRE_TEXT_SIZE    2752
#define WIRE_HOLDS        1024
#define WIRE_NOTES        256                          /* of images found in INDEX, a seat */
#define WIRE_HOLD_MAGIC   UINT64_C(0x0073646c6f686873) /* "shholds", 0 */
#define WIRE_SEATS_MAX    1024
#define WIRE_SEGMENTS_MAX 1024

/*
 * Bytes of HEAD that are locked (lock.h), none of them inside the file except the seats': the
 * server's for as long as it runs, a seat's (its page's offset) while a requester is connected, and
 * one from WIRE_QUEUE_LOCK on for each requester that waits for a seat. A process that removes what
 * a dead server left holds the cleaner's byte of its HEAD, and never the server's.
 */
#define WIRE_SERVER_LOCK  (UINT64_C(1) << 40)
#define WIRE_QUEUE_LOCK   (UINT64_C(1) << 41)
#define WIRE_CLEANER_LOCK (UINT64_C(1) << 42)

enum wire_state {
	WIRE_IDLE,      /* the requester may write a request */
	WIRE_REQUESTED, /* written by the requester: the request is complete */
	WIRE_TAKEN,    /* written by the server: the server works on it, and it will take a while */
	WIRE_ANSWERED, /* written by the server: the answer is complete */
};

#define WIRE_STATE_WORD(sequence, state) ((uint64_t)(sequence) << 8 | (uint64_t)(state))
#define WIRE_STATE(state_word)           ((enum wire_state)((state_word)&0xff))
#define WIRE_SEQUENCE(state_word)        ((state_word) >> 8)

enum wire_operation {
	WIRE_PING,  /* answers STATUS_OK */
	WIRE_GET,   /* the image of that name, decoded if need be */
	WIRE_INFO,  /* what is known of it without decoding it */
	WIRE_NAMES, /* names after the one given, in order, each ended by a NUL; an empty text ends
		       the list */
	WIRE_PREFETCH, /* the image of that name is to be decoded, after those that the seat named
			  before; without a name: what became of them, once that is
			  something else than the requester knows */
};

/* Images that a seat may have named and that are not decoded yet. */
#define WIRE_PREFETCH_MAX 256

/* The classic words of the answer to WIRE_PREFETCH. Its flags are 0, or the status of an image that
 * failed, which is told once: the text is its name, a NUL, and the error message. */
enum wire_prefetch_word {
	WIRE_PREFETCH_LISTED,  /* named, and not decoded yet */
	WIRE_PREFETCH_DECODED, /* so far, with those that were stored already */
	WIRE_PREFETCH_FAILED,  /* so far */
	WIRE_PREFETCH_UNUSED,  /* decoded for this list, and not fetched by anybody so far */
};

/*
 * What is asked of an image. Compared and hashed as bytes. A server refuses what is reserved and not
 * zero.
 */
struct wire_options {
	struct image_options image;
	uint8_t reserved[16];
};

struct wire_request {
	uint32_t operation; /* enum wire_operation */
	uint32_t hold;      /* which of the seat's hold words the answer is to use */
	uint64_t length;    /* of the name */
	struct wire_options options;
	uint64_t known; /* WIRE_PREFETCH without a name: decoded and failed, as far as is known */
	uint64_t reserved[4];
};

/* flags of an answer */
enum wire_answer_flags {
	WIRE_FROM_STORE = 1 << 0, /* it had been decoded before this request */
	WIRE_WARNING = 1 << 1,    /* the text is a warning about the image */
	WIRE_ANIMATED = 1 << 2,   /* it is an animated PNG */
	WIRE_CMYK = 1 << 3,       /* its channels are CMYK */
};

struct wire_answer {
	uint32_t status;      /* enum status; 0 means that the rest is valid */
	uint32_t flags;       /* enum wire_answer_flags */
	uint32_t text_length; /* bytes of text at 1344 */
	uint32_t segment;     /* the data segment with the pixels */
	uint64_t offset;      /* of the pixels in it, a multiple of the page */
	uint64_t image;       /* the image's number, as in the hold word; never 0 */
	uint32_t stride;      /* bytes from row to row */
	uint32_t gamma;       /* gAMA of a PNG x 100000, or 0 */
	uint64_t icc_offset;  /* of the colour profile in the segment */
	uint32_t icc_bytes;   /* 0: none */
	uint32_t file_width, file_height;
	uint8_t bits; /* a sample: 8 or 16 */
	uint8_t format, orientation, scale;
	uint8_t file_bits, file_channels;
	uint8_t srgb; /* sRGB of a PNG: 1 + rendering intent, or 0 */
	uint8_t full; /* WIRE_PREFETCH: the rest waits until images that were decoded ahead are used */
	uint32_t holders; /* seats that hold it, this one included */
	uint64_t age;     /* ns since it was decoded */
	uint64_t file_bytes;
	uint32_t truncations;      /* the server's count of them when it answered */
	uint32_t comments;         /* text chunks of a PNG, COM markers of a JPEG */
	int32_t chromaticities[8]; /* cHRM of a PNG x 100000, or zeros */
};

struct wire_seat {
	_Atomic uint64_t words[4];
	uint64_t magic;
	uint32_t version, seats, segments;
	uint32_t page;               /* bytes of a page in HEAD: a power of two */
	uint64_t instance;           /* drawn at random by each server */
	_Atomic uint64_t state_word; /* 64 */
	struct wire_request request;
	struct wire_answer answer; /* 192 */
	char name[WIRE_NAME_MAX];  /* 320 */
	char text[WIRE_TEXT_SIZE]; /* 1344 */
};

/* In a hold word, beside the image's number: the requester has found the image in INDEX. So what the
 * server stored there for a request that was given up meanwhile is told from it. */
#define WIRE_HOLD_FOUND (UINT64_C(1) << 63)

/*
 * A page of a seat's holds: hazard pointers, an image's number or 0 each. The first page's mark is
 * above the highest word in use in any of the seat's pages: raised before a word is stored, lowered
 * only when a requester makes the seat its own. A page whose magic and instance are not right was
 * truncated, and nobody knows what was held there: then the seat holds everything.
 *
 * The words behind the holds are a ring: what the requester found in INDEX last, the k-th that
 * it noted in word k % WIRE_NOTES; the same one twice in a row is noted once. With that the server
 * knows what was used when.
 */
struct wire_hold_page {
	uint64_t magic, instance;
	_Atomic uint64_t mark;
	uint64_t reserved[5];
	_Atomic uint64_t words[]; /* 64 */
};

_Static_assert(offsetof(struct wire_seat, magic) == 32, "wire layout");
_Static_assert(offsetof(struct wire_seat, state_word) == 64, "wire layout");
_Static_assert(offsetof(struct wire_seat, request) == 72, "wire layout");
_Static_assert(offsetof(struct wire_seat, answer) == 192, "wire layout");
_Static_assert(offsetof(struct wire_seat, name) == 320, "wire layout");
_Static_assert(offsetof(struct wire_seat, text) == 1344, "wire layout");
_Static_assert(offsetof(struct wire_seat, page) == 52, "wire layout");
_Static_assert(offsetof(struct wire_hold_page, words) == 64, "wire layout");
_Static_assert(sizeof(struct wire_seat) == WIRE_PAGE, "wire layout");
_Static_assert(sizeof(struct wire_request) == 120, "wire layout");
_Static_assert(sizeof(struct wire_answer) == 128, "wire layout");
_Static_assert(offsetof(struct wire_answer, chromaticities) == 96, "wire layout");
_Static_assert(sizeof(struct wire_options) == 64, "wire layout");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must work between processes");

/* The server's counters, in the order of shmsem(7). Only for reading by others: the server does not
 * read them back. */
enum wire_counter {
	WIRE_COUNT_REQUESTS,
	WIRE_COUNT_HITS,
	WIRE_COUNT_DECODES,
	WIRE_COUNT_FAILURES,
	WIRE_COUNT_EVICTIONS,
	WIRE_COUNT_DECODED_BYTES,
	WIRE_COUNT_CACHE_LIMIT,  /* bytes: --cache */
	WIRE_COUNT_CACHE_BACKED, /* bytes of the data segments that exist */
	WIRE_COUNT_CACHE_USED,   /* bytes that hold images */
	WIRE_COUNT_IMAGES,       /* images stored */
	WIRE_COUNT_DECODER_STARTS,
	WIRE_COUNTERS,
};

enum wire_server_flags {
	WIRE_SERVER_NO_LANDLOCK = 1 << 0, /* the kernel has none; decoders run without */
	WIRE_SERVER_NO_SECCOMP = 1 << 1,  /* --allow-degraded-sandbox */
	WIRE_SERVER_ISOLATE = 1 << 2,     /* a process for each image */
	WIRE_SERVER_NO_INOTIFY = 1 << 3,  /* none to be had: each answer looks at its file */
	WIRE_SERVER_FRESH = 1 << 4,       /* --fresh: requesters find images in INDEX for a while */
	WIRE_SERVER_FLAG = 1 << 5,        /* they do, until the kernel notes a change */
	WIRE_SERVER_FEW_WATCHES = 1 << 6, /* inotify's; answers look at files that have none */
};

/* The page after the seats' pages. */
struct wire_server {
	_Atomic uint32_t ready; /* 1 once every object exists and requests are taken */
	uint32_t pid;           /* for display only */
	uint64_t reserve;       /* bytes of address space to reserve for each data segment */
	uint64_t started;       /* CLOCK_REALTIME, ns */
	uint64_t flags;         /* enum wire_server_flags */
	uint64_t index_reserve; /* bytes of address space to reserve for INDEX; 0: there is none */
	/* Which INDEX the name leads to: another number for each that was made; 0: none now. */
	_Atomic uint64_t index_number;
	uint64_t reserved[2];
	_Atomic uint64_t ticket;     /* 64: the next place in the queue for a seat */
	_Atomic uint32_t free_seats; /* a futex: goes up when a seat is given back */
	/* Goes up when a data segment was found truncated. It begins with 1, so that the zeros of a
	 * HEAD that was truncated itself are no count. */
	_Atomic uint32_t truncations;
	/* Hints for who waits for a seat: the ticket of the first in the queue, and the seat that
	 * was given back last. */
	_Atomic uint32_t first_ticket, free_seat;
	uint32_t reserved2[10];
	_Atomic uint64_t counters[WIRE_COUNTERS]; /* 128 */
	/*
	 * 256: a bit for each seat that may have a request. Set by its requester after the state
	 * word; cleared by the server once it has seen none there. A hint: every 100 ms, and every
	 * 500 ms once no request has come for a second, the server looks at all seats.
	 */
	_Alignas(128) _Atomic uint64_t asking[WIRE_SEATS_MAX / 64];
};

/* Bytes at its start that only the server changes, and seldom. */
#define WIRE_SERVER_CONSTANTS offsetof(struct wire_server, ticket)

_Static_assert(offsetof(struct wire_server, ticket) == 64, "wire layout");
_Static_assert(offsetof(struct wire_server, counters) == 128, "wire layout");
_Static_assert(offsetof(struct wire_server, asking) == 256, "wire layout");
_Static_assert(sizeof(struct wire_server) <= WIRE_PAGE, "wire layout");

/* A row for each seat in the pages after the server's. */
struct wire_seat_counters {
	_Atomic uint64_t requests, hits, failures, bytes;
	/* Written by the requester on the seat: images that it found in INDEX, and their bytes. */
	_Atomic uint64_t index_hits, index_bytes;
	_Atomic uint64_t notes;  /* of them that it wrote */
	_Atomic uint64_t resets; /* goes up when the seat is taken, and when it is given back */
};

_Static_assert(sizeof(struct wire_seat_counters) == 64, "wire layout");

/* For a counter that one thread at a time writes. */
static inline void wire_count(_Atomic uint64_t *counter, uint64_t amount)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
		memory_order_relaxed);
}

static inline size_t wire_server_offset(size_t page, unsigned seats)
{
	return seats * page;
}

static inline size_t wire_seat_counters_offset(size_t page, unsigned seats)
{
	return wire_server_offset(page, seats) + page;
}

/* Words of a page, and pages that a seat has of them: its holds, then its notes. */
static inline size_t wire_page_holds(size_t page)
{
	return (page - sizeof(struct wire_hold_page)) / sizeof(uint64_t);
}

static inline size_t wire_hold_pages(size_t page)
{
	return (WIRE_HOLDS + WIRE_NOTES + wire_page_holds(page) - 1) / wire_page_holds(page);
}

/* Where the pages with the seat's holds begin. */
static inline size_t wire_holds_offset(size_t page, unsigned seats, unsigned seat)
{
	size_t counters = seats * sizeof(struct wire_seat_counters);

	return wire_seat_counters_offset(page, seats) + (counters + page - 1) / page * page +
	       seat * wire_hold_pages(page) * page;
}

/* Bytes of a HEAD with that many seats. */
static inline size_t wire_head_size(size_t page, unsigned seats)
{
	return wire_holds_offset(page, seats, seats);
}

/* What a note says: the image's number, as far as it fits, and the place of its entry. */
static inline uint64_t wire_note(uint64_t place, uint64_t image)
{
	return place << 32 | (image & UINT32_MAX);
}

static inline bool wire_page_possible(size_t page)
{
	return page >= WIRE_PAGE && page <= WIRE_PAGE_MAX && !(page & (page - 1));
}

static inline uint64_t wire_seat_lock(size_t page, unsigned seat)
{
	return (uint64_t)seat * page;
}

/*
 * Copies what the other side may be changing. The barrier keeps the compiler from reading the
 * shared bytes a second time where the copy is used.
 */
static inline void wire_copy(void *private_copy, const void *shared, size_t size)
{
	memcpy(private_copy, shared, size);
	__asm__ volatile("" ::: "memory");
}
