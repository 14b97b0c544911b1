#include "cli/stats.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/print_json.h"
#include "exchange/head_report.h"
#include "exchange/life.h"
#include "exchange/wire_index.h"
#include "shm/shm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	bool bytes;
} counters[WIRE_COUNTERS] = {
	[WIRE_COUNT_REQUESTS] = {"requests", false},
	[WIRE_COUNT_HITS] = {"hits", false},
	[WIRE_COUNT_DECODES] = {"decodes", false},
	[WIRE_COUNT_FAILURES] = {"failures", false},
	[WIRE_COUNT_EVICTIONS] = {"evictions", false},
	[WIRE_COUNT_DECODED_BYTES] = {"decoded-bytes", true},
	[WIRE_COUNT_CACHE_LIMIT] = {"cache-limit", true},
	[WIRE_COUNT_CACHE_BACKED] = {"cache-backed", true},
	[WIRE_COUNT_CACHE_USED] = {"cache-used", true},
	[WIRE_COUNT_IMAGES] = {"images", false},
	[WIRE_COUNT_DECODER_STARTS] = {"decoder-starts", false},
};

struct stats {
	struct head_report report;
	bool alive;
	int queued;
	struct head_report_seat *seats;
	uint64_t index_bytes, index_entries; /* of INDEX: its memory, and names it has places for */
};

/* How requesters get at stored images: a word for programs, and in words for people. */
static const struct way {
	uint64_t flag;
	const char *word, *text;
} ways[] = {{WIRE_SERVER_FLAG, "flag",
		    "stored images are found without asking, until the kernel notes a change"},
	{WIRE_SERVER_FRESH, "fresh",
		"stored images are found without asking, for as long as --fresh says"},
	{WIRE_SERVER_NO_INOTIFY, "no-inotify", "without inotify: each answer looks at its file"},
	{0, "asked", "each stored image is asked for"}};

#define FEW_WATCHES_TEXT "too few inotify watches: answers look at files that have none"

static const struct way *way_of(uint64_t flags)
{
	const struct way *way = ways;

	while (way->flag && !(flags & way->flag))
		way++;
	return way;
}

/* Zeros where there is none. */
static void read_index(const struct name_space *space, struct stats *stats)
{
	char file[OBJECT_FILE_SIZE];
	struct stat status;
	struct wire_index header;
	AUTO_CLOSE int fd = shm_file_open(
		object_file(space, OBJECT_INDEX, 0, file), O_RDONLY, &status);

	if (fd < 0 || pread_full(fd, &header, sizeof header, 0) != sizeof header)
		return;
	stats->index_bytes = (uint64_t)status.st_blocks * 512;
	stats->index_entries = header.entries;
}

static int stats_read(const struct name_space *space, struct stats *ret, struct error *err)
{
	char file[OBJECT_FILE_SIZE];
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(
		object_file(space, OBJECT_HEAD, 0, file), O_RDONLY, &status);
	AUTO_FREE struct head_report_seat *seats = NULL;
	struct stats stats = {0};

	if (fd < 0 && errno != ENOENT)
		return error_os(err, errno, "cannot open '%s'", file);
	if (fd >= 0 && head_report_read(fd, &stats.report) != 0)
		return error_os(err, errno, "cannot read '%s'", file);
	if (!stats.report.native)
		return error_set(
			err, STATUS_UNAVAILABLE, "the namespace '%s' has no server", space->text);
	stats.alive = object_served(file) == 1;
	stats.queued = head_report_queued(fd, &stats.report);
	if (stats.queued < 0)
		return error_os(err, errno, "cannot read '%s'", file);
	seats = calloc(stats.report.seats, sizeof *seats);
	if (!seats)
		return error_os(err, ENOMEM, "cannot read '%s'", file);
	for (unsigned i = 0; i < stats.report.seats; i++)
		if (head_report_read_seat(fd, &stats.report, i, &seats[i]) != 0)
			return error_os(err, errno, "cannot read '%s'", file);
	stats.seats = steal_pointer(&seats);
	read_index(space, &stats);
	*ret = stats;
	return STATUS_OK;
}

static int print_as_json(
	const struct name_space *space, const struct stats *stats, struct error *err)
{
	json_t *counted = json_object(), *seats = json_array();

	for (size_t i = 0; i < WIRE_COUNTERS; i++)
		json_object_set_new(counted, counters[i].name,
			json_integer((json_int_t)stats->report.counters[i]));
	for (unsigned i = 0; i < stats->report.seats; i++) {
		const struct head_report_seat *seat = &stats->seats[i];

		json_array_append_new(
			seats, json_pack("{s:i, s:b, s:b, s:I, s:I, s:I, s:I, s:i}", "seat", (int)i,
				       "connected", seat->taken, "waits", seat->waits, "requests",
				       (json_int_t)seat->requests, "hits", (json_int_t)seat->hits,
				       "failures", (json_int_t)seat->failures, "bytes",
				       (json_int_t)seat->bytes, "held", (int)seat->held));
	}
	return print_json(
		json_pack("{s:s, s:i, s:b, s:i, s:b, s:o, s:{s:s, s:I, s:I, s:I}, s:o}",
			"namespace", space->text, "pid", (int)stats->report.pid, "alive",
			stats->alive, "queued", stats->queued, "few-watches",
			(stats->report.flags & WIRE_SERVER_FEW_WATCHES) != 0, "counters", counted,
			"index", "way", way_of(stats->report.flags)->word, "found",
			(json_int_t)stats->report.found, "bytes", (json_int_t)stats->index_bytes,
			"entries", (json_int_t)stats->index_entries, "seats", seats),
		err);
}

static int put_number(
	struct table *table, size_t at, uint64_t number, bool bytes, struct error *err)
{
	char text[TABLE_SIZE_TEXT];

	if (bytes)
		table_size_text(table, number, text);
	else
		snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	return table_put(table, at, text, err);
}

static int add_counter(
	struct table *table, const struct stats *stats, size_t number, struct error *err)
{
	int status = table_add_line(table, err);

	if (status)
		return status;
	status = table_put(table, 0, counters[number].name, err);
	if (status)
		return status;
	return put_number(table, 1, stats->report.counters[number], counters[number].bytes, err);
}

static int print_counters(
	const struct stats *stats, const struct table_style *style, struct error *err)
{
	static const struct table_column columns[] = {{"COUNTER", TABLE_TEXT, "what is counted"},
		{"VALUE", TABLE_SIZE, "since the server started"}, {0}};
	static const struct table_selection both = {.columns = {0, 1}, .count = 2};
	AUTO_TABLE struct table table = TABLE_NONE;
	int status = table_init(&table, "counters", columns, &both, style, err);

	for (size_t i = 0; i < WIRE_COUNTERS && !status; i++)
		status = add_counter(&table, stats, i, err);
	return status ? status : table_print(&table, err);
}

static int print_seats(
	const struct stats *stats, const struct table_style *style, struct error *err)
{
	static const struct table_column columns[] = {{"SEAT", TABLE_NUMBER, "its number"},
		{"CONNECTED", TABLE_TEXT, "whether somebody has it"},
		{"WAITS", TABLE_TEXT, "whether an answer is waited for"},
		{"REQUESTS", TABLE_NUMBER, "asked on it"},
		{"HITS", TABLE_NUMBER, "answered from the store"},
		{"FAILURES", TABLE_NUMBER, "answered with an error"},
		{"BYTES", TABLE_SIZE, "of images handed over"},
		{"HELD", TABLE_NUMBER, "images held now"}, {0}};
	static const struct table_selection all = {.columns = {0, 1, 2, 3, 4, 5, 6, 7}, .count = 8};
	AUTO_TABLE struct table table = TABLE_NONE;
	int status = table_init(&table, "seats", columns, &all, style, err);

	for (unsigned i = 0; i < stats->report.seats && !status; i++) {
		const struct head_report_seat *seat = &stats->seats[i];
		const uint64_t cells[] = {i, seat->taken, seat->waits, seat->requests, seat->hits,
			seat->failures, seat->bytes, seat->held};

		if (!seat->taken && !seat->requests)
			continue;
		status = table_add_line(&table, err);
		for (size_t at = 0; at < all.count && !status; at++)
			status = at == 1 || at == 2
					 ? table_put(&table, at, cells[at] ? "yes" : "no", err)
					 : put_number(&table, at, cells[at], at == 6, err);
	}
	return status ? status : table_print(&table, err);
}

int stats_print(const struct name_space *space, const struct table_style *style, struct error *err)
{
	struct stats stats = {0};
	int status = style->json ? libjansson_load(err) : STATUS_OK;

	if (!status)
		status = stats_read(space, &stats, err);
	if (status)
		return status;
	if (style->json) {
		status = print_as_json(space, &stats, err);
	} else {
		printf("%s: server %u, %s\n", space->text, stats.report.pid,
			stats.alive ? "running" : "dead");
		puts(way_of(stats.report.flags)->text);
		if (stats.report.flags & WIRE_SERVER_FEW_WATCHES)
			puts(FEW_WATCHES_TEXT);
		if (stats.queued)
			printf("%d requester%s for a seat\n", stats.queued,
				stats.queued == 1 ? " waits" : "s wait");
		putchar('\n');
		status = print_counters(&stats, style, err);
		putchar('\n');
		if (!status)
			status = print_seats(&stats, style, err);
	}
	free(stats.seats);
	return status;
}
