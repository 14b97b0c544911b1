#include "server/publish.h"

#include "base/clock.h"
#include "base/mountinfo.h"
#include "base/process.h"
#include "exchange/server_defaults.h"
#include "exchange/server_index.h"
#include "server/answer.h"
#include "server/recency.h"
#include "server/thread_word.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Of --cache: what the index may have at most, and has at first. */
#define SHARE_MAX   4
#define SHARE_FIRST 64

#define ENTRIES_LEAST 64

/* The clock by which requesters look whether an entry counts is late by so much. */
#define CLOCK_LATE_NS (10 * NS_PER_MS)

/* As many entries as fit, a power of two. */
static uint64_t entries_in(uint64_t bytes)
{
	uint64_t entries = ENTRIES_LEAST;

	while (2 * entries * sizeof(struct wire_entry) <= bytes && entries < WIRE_INDEX_MAX)
		entries *= 2;
	return entries;
}

/* Whether requesters can see here what happened, and whether the server lives. */
static bool flag_works(const struct server *server)
{
	return watch_descriptor(server->watch) >= 0 && access(MOUNTINFO, R_OK) == 0 &&
	       !change_flag_share_missing() && thread_word_works();
}

bool publish_possible(const struct server *server)
{
	return server->options.fresh_ns || flag_works(server);
}

/* What HEAD says of an index. */
static uint64_t publish_flag(const struct server *server)
{
	return server->options.fresh_ns ? WIRE_SERVER_FRESH : WIRE_SERVER_FLAG;
}

void publish_options(const struct server *server, struct server_objects_options *objects)
{
	uint64_t most = server->options.cache / SHARE_MAX, page = page_size(), room = server_room();

	/* Requests that are to be counted must come here, all of them. */
	if (server->options.requests || most < ENTRIES_LEAST * sizeof(struct wire_entry))
		return;
	if (!publish_possible(server))
		return;
	objects->index_rings = server->options.fresh_ns ? 0 : WIRE_RINGS;
	objects->flags |= publish_flag(server);
	/* It is there from the start, however little there is of the rest. */
	if (room > server->options.cache)
		room = server->options.cache;
	objects->index_entries = entries_in(room / SHARE_FIRST);
	/* The tables before the last one lie before it, as holes: together they are as large. */
	objects->index_reserve = wire_index_start(page, objects->index_rings) +
				 2 * wire_table_size(page, entries_in(most));
}

static uint64_t table_bytes(const struct server *server, uint64_t entries)
{
	return wire_table_size(server->objects.head.page, entries);
}

/* Of the budget that the index has. */
static uint64_t index_bytes(const struct server *server)
{
	const struct index *index = &server->objects.index;

	return wire_index_start(index->page, index->rings) + table_bytes(server, index->entries);
}

static void changed(void *context, struct dependent *dependent)
{
	struct server *server = context;

	index_writer_remove(
		&server->store.index, HASH_TABLE_ITEM(dependent, struct alias, dependent));
}

int publish_start(struct server *server, struct error *err)
{
	struct index *index = &server->objects.index;

	if (!index->segment.base)
		return STATUS_OK;
	if (!index_writer_init(&server->store.index, index, server->options.seats))
		return error_os(err, ENOMEM, "cannot make the index");
	server->store.index.hidden = server->within.length;
	watch_on_change(server->watch, changed, server);
	server->store.budget -= index_bytes(server);
	return STATUS_OK;
}

void publish_alias(struct server *server, struct alias *alias)
{
	const struct stored *image = alias->image;
	struct index_answer answer = {0};

	/* A warning has no place in the index. */
	if (!server->store.index.index || alias->kind != LINK_DECODE ||
		image->state != STORED_READY || !image->extent || image->decoded.warning[0] ||
		alias->dependent.changed)
		return;
	/* What somebody would have to look at from time to time is not there without --fresh. */
	if (!server->options.fresh_ns && (!alias->dependent.tracked || alias->indexed))
		return;
	if (server->options.fresh_ns)
		answer.until = alias->checked_at + server->options.fresh_ns - CLOCK_LATE_NS;
	answer_describe(server, image, &answer.answer, answer.words);
	answer.answer.flags |= WIRE_FROM_STORE;
	index_writer_put(&server->store.index, alias, &answer);
}

void publish_image(struct server *server, struct stored *image)
{
	for (struct alias *alias = image->aliases; alias; alias = alias->next)
		publish_alias(server, alias);
}

/* What HEAD says from now on, also when it is repaired. */
static void announce(struct server *server, uint64_t flags)
{
	struct wire_server *page = head_server(&server->objects.head);

	page->flags = server->constants.flags = server->objects.options.flags = flags;
	server->constants.index_number = page->index_number;
}

void publish_announce(struct server *server)
{
	server_index_announce(&server->objects);
	announce(server, server->objects.options.flags | publish_flag(server));
}

void publish_lack_of_watches(struct server *server)
{
	uint64_t flags = server->objects.options.flags;

	if (watch_used_up(server->watch) && !(flags & WIRE_SERVER_FEW_WATCHES))
		announce(server, flags | WIRE_SERVER_FEW_WATCHES);
}

void publish_stop(struct server *server)
{
	server_index_drop(&server->objects);
	index_writer_clear(&server->store.index);
	index_writer_release(&server->store.index);
	server->store.budget += index_bytes(server);
	announce(server, server->objects.options.flags & ~publish_flag(server));
}

/* ---- growth ---- */

/* Reserves memory for another table, behind what there is; 0 if there is none to be had. */
static uint64_t back_table(struct server *server, uint64_t entries)
{
	struct segment *segment = &server->objects.index.segment;
	uint64_t table = segment->size, bytes = table_bytes(server, entries);

	if (bytes > server->options.cache / SHARE_MAX || table + bytes > segment->reserved ||
		segment_reserve(segment, table, bytes) != 0)
		return 0;
	return table;
}

static void free_table(struct server *server, uint64_t table, uint64_t entries)
{
	fallocate(server->objects.index.segment.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)table, (off_t)table_bytes(server, entries));
}

static uint64_t entries_wanted(struct server *server)
{
	uint64_t entries;

	store_lock(&server->store);
	entries = index_writer_wanted(&server->store.index);
	store_unlock(&server->store);
	return entries;
}

void publish_grow(struct server *server)
{
	uint64_t entries = entries_wanted(server),
		 table = entries ? back_table(server, entries) : 0;
	struct index old = server->objects.index;
	uint64_t at = 0;
	bool done;

	if (!table)
		return;
	store_lock(&server->store);
	done = !index_writer_grow_begin(&server->store.index, table, entries);
	if (!done)
		server->store.budget -= table_bytes(server, entries) -
					table_bytes(server, old.entries);
	store_unlock(&server->store);
	if (done) {
		free_table(server, table, entries);
		return;
	}
	while (!done) {
		store_lock(&server->store);
		/* Notes say places of the table that there is now. */
		recency_take_in(&server->store);
		done = index_writer_grow(&server->store.index, &at);
		store_unlock(&server->store);
	}
	free_table(server, old.table, old.entries);
}
