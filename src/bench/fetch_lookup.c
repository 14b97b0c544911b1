#include "bench/fetch_lookup.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/equal.h"
#include "bench/fetch_client.h"
#include "bench/pictures.h"
#include "bench/served.h"
#include "exchange/index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAMES    1000
#define DIGITS   26 /* with .png, names of 30 bytes */
#define CACHE    (UINT64_C(128) << 20)
#define ENTRIES  4096 /* of the private table: as many as INDEX has for that cache */
#define PAUSE_NS NS_PER_MS

/* The limit: the same hash and comparison, and a copy of the answer, in memory of our own. */
struct private_table {
	struct index index; /* for its hash */
	uint64_t options_hash;
	struct wire_entry entries[ENTRIES];
	struct index_answer found;
};

struct lookups {
	struct pictures pictures;
	struct private_table *table;
	struct fetch_client *client;
	bool decoded; /* all have been */
	size_t at;    /* which name is next, in an order that jumps */
};

static const char *next_name(struct lookups *lookups)
{
	/* Comes to each before it comes to one again: 377 and 1000 have no common divisor. */
	lookups->at = (lookups->at + 377) % NAMES;
	return lookups->pictures.list[lookups->at].name;
}

static struct index_key key_of(const char *name)
{
	return (struct index_key){.name = name, .length = strlen(name)};
}

static struct wire_entry *private_find(struct private_table *table, const struct index_key *key)
{
	uint64_t hash = index_hash_name(&table->index, key->name, key->length, table->options_hash);
	unsigned probe = 0;

	for (;;) {
		struct wire_entry *entry =
			&table->entries[index_place(&table->index, hash, probe++)];

		if (!entry->length)
			return entry;
		if (entry->hash == hash && entry->length == key->length &&
			equal_none(equal_differences_64(&entry->options, &key->options) |
				   equal_differences(entry->name, key->name, key->length)))
			return entry;
	}
}

static void private_put(struct private_table *table, const char *name)
{
	struct index_key key = key_of(name);
	struct wire_entry *entry = private_find(table, &key);

	entry->hash = index_hash(&table->index, &key);
	entry->length = (uint32_t)key.length;
	memcpy(entry->name, name, key.length);
}

static int run_private(void *context, uint64_t operations, struct error *err)
{
	struct lookups *lookups = context;
	struct private_table *table = lookups->table;

	(void)err;
	for (uint64_t i = 0; i < operations; i++) {
		struct index_key key = key_of(next_name(lookups));
		const struct wire_entry *entry = private_find(table, &key);

		wire_copy(&table->found.answer, &entry->answer, sizeof entry->answer);
		wire_copy(table->found.words, entry->words, sizeof entry->words);
	}
	return STATUS_OK;
}

static int run_stored(void *context, uint64_t operations, struct error *err)
{
	struct lookups *lookups = context;

	for (uint64_t i = 0; i < operations; i++) {
		const struct shmsem_request request = {.name = next_name(lookups)};
		struct shmsem_error error;
		struct shmsem_image image;

		if (shmsem_fetch(lookups->client->client, &request, &image, &error))
			return served_error(&error, err);
		shmsem_release(&image);
		if (!image.info.from_store && lookups->decoded)
			return error_set(
				err, STATUS_INTERNAL, "'%s' was not in the store", request.name);
	}
	return STATUS_OK;
}

static int measure(
	struct bench_session *session, struct lookups *lookups, bool asleep, struct error *err)
{
	struct lookups own = *lookups; /* each side has its own place in the order */
	uint64_t pause = asleep ? PAUSE_NS : 0;
	const struct bench_subject subjects[] = {
		{.name = "private look-up", .context = &own, .run = run_private, .pause_ns = pause},
		{.name = "stored", .context = lookups, .run = run_stored, .pause_ns = pause}};
	struct bench_result *rows;
	char group[64];
	int status;

	snprintf(group, sizeof group, "one of %d stored%s", NAMES, asleep ? ", 1 ms apart" : "");
	status = session_measure(session, "fetch", group, 0, subjects, 2, &rows, err);
	if (!status)
		goal_note(&session->report.goals, asleep ? GOAL_LOOKUP_ASLEEP : GOAL_LOOKUP,
			rows[1].ratio);
	return status;
}

/* All are decoded once, and found once more. */
static int measure_client(struct bench_session *session, const struct served *served,
	struct lookups *lookups, struct error *err)
{
	AUTO_FETCH_CLIENT struct fetch_client client = {0};
	int status = fetch_client_init(&client, served, "", false, err);

	if (status)
		return status;
	lookups->client = &client;
	status = run_stored(lookups, NAMES, err);
	if (status)
		return status;
	lookups->decoded = true;
	status = run_stored(lookups, NAMES, err);
	if (status)
		return status;
	status = measure(session, lookups, false, err);
	return status ? status : measure(session, lookups, true, err);
}

int fetch_measure_lookup(struct bench_session *session, struct error *err)
{
	AUTO_FREE struct private_table *table = calloc(1, sizeof *table);
	AUTO_PICTURES struct pictures dot = {0};
	int status = pictures_draw_dot(&dot, err);
	AUTO_FREE struct picture *list = status ? NULL : pictures_renamed(dot.list, NAMES, DIGITS);
	struct lookups lookups = {.pictures = {.list = list, .count = NAMES}, .table = table};
	const struct served_options options = {
		.decoders = 1, .seats = 4, .cache = CACHE, .cpu = -1};
	AUTO_SERVED struct served served = {0};

	if (status)
		return status;
	if (!list || !table)
		return error_os(err, ENOMEM, "cannot measure");
	table->index.entries = ENTRIES;
	table->options_hash = index_hash_options(&table->index, &(struct wire_options){0});
	for (size_t i = 0; i < NAMES; i++)
		private_put(table, list[i].name);
	status = served_start(&served, &lookups.pictures, &options, &session->report.machine, err);
	return status ? status : measure_client(session, &served, &lookups, err);
}
