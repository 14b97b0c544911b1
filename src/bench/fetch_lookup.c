#include "bench/fetch_lookup.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/fetch_client.h"
#include "bench/pictures.h"
#include "bench/private_table.h"
#include "bench/served.h"
#include "client/responder.h"
#include "exchange/index_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES      1000
#define STEP       377 /* with NAMES it has no common divisor; nor have the two below */
#define MANY_NAMES 100000
#define MANY_STEP  61803
#define DIGITS     26 /* with .png, names of 30 bytes */
#define CACHE      (UINT64_C(128) << 20)
#define ENTRIES    4096 /* of the private table: as many as INDEX has for that cache */
#define KEPT       (1 << 16)
#define PAUSE_NS   NS_PER_MS

typedef char lookup_name[32];

struct lookups {
	lookup_name *names;
	size_t count, step;
	struct private_table *table;
	struct shmsem *client;
	bool decoded; /* all have been */
	size_t at;    /* which name is next, in an order that jumps */
};

/* Comes to each before it comes to one again. */
static const char *next_name(struct lookups *lookups)
{
	lookups->at = (lookups->at + lookups->step) % lookups->count;
	return lookups->names[lookups->at];
}

static void set_name(struct lookups *lookups, size_t at, size_t number)
{
	snprintf(lookups->names[at], sizeof *lookups->names, "%0*zu.png", DIGITS, number);
}

static int lookups_init(struct lookups *lookups, size_t count, size_t step, struct error *err)
{
	*lookups = (struct lookups){.count = count, .step = step};
	lookups->names = calloc(count, sizeof *lookups->names);
	if (!lookups->names)
		return error_os(err, ENOMEM, "cannot measure");
	for (size_t i = 0; i < count; i++)
		set_name(lookups, i, i);
	return STATUS_OK;
}

/* Makes a private table that has them all. */
static int fill_table(
	struct lookups *lookups, uint64_t entries, struct private_table *table, struct error *err)
{
	int status = private_table_init(table, entries, err);

	lookups->table = table;
	for (size_t i = 0; !status && i < lookups->count; i++)
		private_table_put(table, lookups->names[i]);
	return status;
}

static void lookups_release(struct lookups *lookups)
{
	free(lookups->names);
}

#define AUTO_LOOKUPS __attribute__((cleanup(lookups_release)))

static int run_private(void *context, uint64_t operations, struct error *err)
{
	struct lookups *lookups = context;

	(void)err;
	for (uint64_t i = 0; i < operations; i++)
		private_table_get(lookups->table, next_name(lookups));
	return STATUS_OK;
}

static int run_stored(void *context, uint64_t operations, struct error *err)
{
	struct lookups *lookups = context;

	for (uint64_t i = 0; i < operations; i++) {
		const struct shmsem_request request = {.name = next_name(lookups)};
		struct shmsem_error error;
		struct shmsem_image image;

		if (shmsem_fetch(lookups->client, &request, &image, &error))
			return served_error(&error, err);
		shmsem_release(&image);
		if (!image.info.from_store && lookups->decoded)
			return error_set(
				err, STATUS_INTERNAL, "'%s' was not in the store", request.name);
	}
	return STATUS_OK;
}

static int measure(struct bench_session *session, struct lookups *lookups, bool asleep,
	enum goal goal, struct error *err)
{
	struct lookups own = *lookups; /* each side has its own place in the order */
	uint64_t pause = asleep ? PAUSE_NS : 0;
	const struct bench_subject subjects[] = {
		{.name = "private look-up", .context = &own, .run = run_private, .pause_ns = pause},
		{.name = "stored", .context = lookups, .run = run_stored, .pause_ns = pause}};
	struct bench_result *rows;
	char group[64];
	int status;

	snprintf(group, sizeof group, "one of %zu stored%s", lookups->count,
		asleep ? ", 1 ms apart" : "");
	status = session_measure(session, "fetch", group, 0, subjects, 2, &rows, err);
	if (!status)
		goal_note(&session->report.goals, goal, rows[1].ratio);
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
	lookups->client = client.client;
	status = run_stored(lookups, NAMES, err);
	if (status)
		return status;
	lookups->decoded = true;
	status = run_stored(lookups, NAMES, err);
	if (status)
		return status;
	status = measure(session, lookups, false, GOAL_LOOKUP, err);
	return status ? status : measure(session, lookups, true, GOAL_LOOKUP_ASLEEP, err);
}

static int measure_served(struct bench_session *session, struct error *err)
{
	AUTO_PRIVATE_TABLE struct private_table table = {0};
	AUTO_LOOKUPS struct lookups lookups = {0};
	AUTO_PICTURES struct pictures dot = {0};
	int status = pictures_draw_dot(&dot, err);
	AUTO_FREE struct picture *list = status ? NULL : pictures_renamed(dot.list, NAMES, DIGITS);
	const struct pictures pictures = {.list = list, .count = NAMES};
	const struct served_options options = {
		.decoders = 1, .seats = 4, .cache = CACHE, .cpu = -1};
	AUTO_SERVED struct served served = {0};

	if (status)
		return status;
	if (!list)
		return error_os(err, ENOMEM, "cannot measure");
	status = lookups_init(&lookups, NAMES, STEP, err);
	if (!status)
		status = fill_table(&lookups, ENTRIES, &table, err);
	if (!status)
		status = served_start(&served, &pictures, &options, &session->report.machine, err);
	return status ? status : measure_client(session, &served, &lookups, err);
}

static void close_server(struct shmsem_server **server)
{
	shmsem_server_close(*server);
}

/* Has a name lead to an image; false if the index has no place for it. */
static bool put(struct index *index, const char *name, const struct index_answer *found)
{
	const struct index_key key = {.name = name, .length = strlen(name)};
	bool done;

	index_begin(index);
	done = index_put(index, &key, found);
	index_end(index);
	return done;
}

/* Publishes an image under the first name, and has the others lead to it, too: that many images would
 * need 4 KiB each. Names that find no place get another number. */
static int publish_all(struct shmsem_server *server, struct lookups *lookups, struct error *err)
{
	const struct shmsem_info dot = {.width = 1, .height = 1, .channels = 3};
	const struct index_key key = {
		.name = lookups->names[0], .length = strlen(lookups->names[0])};
	struct index *index = &server->objects.index;
	struct index_answer found;
	_Atomic uint64_t hold = 0;
	struct shmsem_error error;
	size_t number = lookups->count;
	void *pixels;

	if (shmsem_prepare(server, &dot, &pixels, NULL, &error) ||
		shmsem_publish(server, key.name, &error))
		return served_error(&error, err);
	if (index_find(index, &key, index_hash(index, &key), &hold, &found) != INDEX_FOUND)
		return error_set(err, STATUS_INTERNAL, "what was published is not found");
	for (size_t i = 1; i < lookups->count; i++)
		while (!put(index, lookups->names[i], &found))
			set_name(lookups, i, number++);
	return STATUS_OK;
}

/* So many are served by a program: for as many files a host has seldom enough watches. */
static int measure_many(struct bench_session *session, struct error *err)
{
	AUTO_PRIVATE_TABLE struct private_table table = {0};
	AUTO_LOOKUPS struct lookups lookups = {0};
	__attribute__((cleanup(close_server))) struct shmsem_server *server = NULL;
	char space[64];
	const struct shmsem_serve_options options = {
		.name_space = space, .memory = 1 << 20, .seats = 4, .kept = KEPT};
	const struct shmsem_connect_options connect = {.name_space = space};
	struct shmsem_error error;
	int status;

	snprintf(space, sizeof space, "bench-%d-%llx", (int)getpid(),
		(unsigned long long)clock_now());
	if (shmsem_serve(&server, &options, &error))
		return served_error(&error, err);
	status = lookups_init(&lookups, MANY_NAMES, MANY_STEP, err);
	if (!status)
		status = publish_all(server, &lookups, err);
	if (!status)
		status = fill_table(&lookups, server->objects.index.entries, &table, err);
	if (status)
		return status;
	if (shmsem_connect(&lookups.client, &connect, &error))
		return served_error(&error, err);
	lookups.decoded = true;
	status = run_stored(&lookups, MANY_NAMES, err);
	if (!status)
		status = measure(session, &lookups, false, GOAL_LOOKUP_MANY, err);
	shmsem_close(lookups.client);
	return status;
}

int fetch_measure_lookup(struct bench_session *session, struct error *err)
{
	int status = measure_served(session, err);

	return status ? status : measure_many(session, err);
}
