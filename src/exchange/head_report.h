/*
 * HEAD as seen by a process outside of the exchange: read with pread, never mapped, and
 * whatever it says is for display.
 */
#pragma once

#include "base/error.h"
#include "exchange/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * A HEAD that only holds the place while a namespace is emptied: empty, and with permissions that
 * nothing else has. So it needs no memory, which there may be none of.
 */
#define PLACE_HOLDER_MODE (S_ISVTX | 0600)

struct head_report {
	bool native; /* made by a shmsem server, whatever its version, or holding a place; the rest
			is then filled in */
	uint32_t version;
	unsigned seats, segments;
	size_t page;
	bool ready;
	uint32_t pid;
	uint64_t started; /* CLOCK_REALTIME, ns */
	uint64_t flags;
	uint64_t counters[WIRE_COUNTERS];
	uint64_t found; /* of the hits: by requesters, in INDEX */
};

/* 0, or -1 with errno. A file that is too short or has no magic number is read as not native. */
int head_report_read(int fd, struct head_report *ret);

struct head_report_seat {
	bool taken; /* a requester is connected */
	bool waits; /* and waits for an answer */
	unsigned held;
	uint64_t words[4];
	uint64_t requests, hits, failures, bytes;
};

/* The same for one seat of a native HEAD; `seat` is below report.seats. */
int head_report_read_seat(
	int fd, const struct head_report *report, unsigned seat, struct head_report_seat *ret);

/* How many requesters wait for a seat of a native HEAD; -1 with errno. */
int head_report_queued(int fd, const struct head_report *report);
