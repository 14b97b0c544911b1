#include "exchange/head_report.h"

#include "base/io.h"
#include "shm/lock.h"
#include "shm/shm_file.h"

#include <fcntl.h>
#include <unistd.h>

#define FIRST_VERSION 1
#define FIRST_ROW     32 /* bytes of a seat's counters then */

#define QUEUE_SHOWN_MAX 4096

/* What requesters found without the server counts as answered from the store. */
static int add_index_hits(
	int fd, size_t page, unsigned seats, struct wire_server *server, uint64_t *ret_found)
{
	off_t at = (off_t)wire_seat_counters_offset(page, seats);

	for (unsigned seat = 0; seat < seats;
		seat++, at += (off_t)sizeof(struct wire_seat_counters)) {
		struct wire_seat_counters row = {0};

		if (pread_full(fd, &row, sizeof row, at) < 0)
			return -1;
		wire_count(&server->counters[WIRE_COUNT_HITS], row.index_hits);
		*ret_found += row.index_hits;
	}
	return 0;
}

int head_report_read(int fd, struct head_report *ret)
{
	struct head_report report = {0};
	struct wire_server server = {0};
	struct wire_seat seat = {0};
	struct stat status;
	ssize_t got;

	if (fstat(fd, &status) != 0)
		return -1;
	if (!status.st_size && (status.st_mode & S_ISVTX)) {
		report.native = true;
		*ret = report;
		return 0;
	}
	got = pread_full(fd, &seat, sizeof seat, 0);
	if (got < 0)
		return -1;
	if (got < (ssize_t)sizeof seat || seat.magic != WIRE_MAGIC || !seat.seats ||
		seat.seats > WIRE_SEATS_MAX ||
		(seat.version != FIRST_VERSION && !wire_page_possible(seat.page))) {
		*ret = report;
		return 0;
	}
	/* The first version said nothing of pages. */
	report.page = seat.version == FIRST_VERSION ? WIRE_PAGE : seat.page;
	if (pread_full(fd, &server, sizeof server,
		    (off_t)wire_server_offset(report.page, seat.seats)) < 0)
		return -1;
	if (seat.version != FIRST_VERSION &&
		add_index_hits(fd, report.page, seat.seats, &server, &report.found))
		return -1;
	report.native = true;
	report.version = seat.version;
	report.seats = seat.seats;
	report.segments = seat.segments;
	report.ready = server.ready;
	report.pid = server.pid;
	report.started = server.started;
	report.flags = server.flags;
	for (size_t i = 0; i < WIRE_COUNTERS; i++)
		report.counters[i] = server.counters[i];
	*ret = report;
	return 0;
}

/* How many images the words of the seat say it holds; -1 with errno. */
static int read_holds(int fd, const struct head_report *report, unsigned seat)
{
	off_t at = (off_t)wire_holds_offset(report->page, report->seats, seat);
	struct wire_hold_page head = {0};
	size_t words = wire_page_holds(report->page);
	int held = 0;

	if (pread_full(fd, &head, sizeof head, at) < 0)
		return -1;
	for (size_t hold = 0; hold < WIRE_HOLDS && hold < head.mark; hold++) {
		uint64_t word = 0;

		if (pread_full(fd, &word, sizeof word,
			    at + (off_t)(hold / words * report->page + sizeof head +
					 hold % words * sizeof word)) < 0)
			return -1;
		held += word != 0;
	}
	return held;
}

int head_report_read_seat(
	int fd, const struct head_report *report, unsigned seat, struct head_report_seat *ret)
{
	struct head_report_seat shown = {
		.taken = lock_held(fd, wire_seat_lock(report->page, seat), 1) == 1};
	struct wire_seat_counters counters = {0};
	struct wire_seat page = {0};
	size_t size = report->version == FIRST_VERSION ? FIRST_ROW : sizeof counters;
	off_t row = (off_t)(wire_seat_counters_offset(report->page, report->seats) + seat * size);

	if (pread_full(fd, &page, sizeof page, (off_t)(seat * report->page)) < 0 ||
		pread_full(fd, &counters, size, row) < 0)
		return -1;
	if (shown.taken && report->version != FIRST_VERSION) {
		int held = read_holds(fd, report, seat);

		if (held < 0)
			return -1;
		shown.held = (unsigned)held;
	}
	shown.waits = shown.taken && (WIRE_STATE(page.state_word) == WIRE_REQUESTED ||
					     WIRE_STATE(page.state_word) == WIRE_TAKEN);
	for (size_t i = 0; i < 4; i++)
		shown.words[i] = page.words[i];
	shown.requests = counters.requests;
	shown.hits = counters.hits + counters.index_hits;
	shown.failures = counters.failures;
	shown.bytes = counters.bytes + counters.index_bytes;
	*ret = shown;
	return 0;
}

int head_report_queued(int fd, const struct head_report *report)
{
	struct wire_server server = {0};
	int queued = 0;
	uint32_t ticket, last;

	if (report->version == FIRST_VERSION)
		return 0;
	if (pread_full(fd, &server, sizeof server,
		    (off_t)wire_server_offset(report->page, report->seats)) < 0)
		return -1;
	/* Where the queue begins is a hint; a lock says that a place in it is waited at. */
	last = (uint32_t)server.ticket;
	ticket = last - (uint32_t)server.first_ticket > QUEUE_SHOWN_MAX ? last - QUEUE_SHOWN_MAX
									: server.first_ticket;
	for (; ticket != last; ticket++)
		queued += lock_held(fd, WIRE_QUEUE_LOCK + ticket, 1) == 1;
	return queued;
}
