/*
 * litmus [SECONDS] -- a server thread and readers on one index, as fast as they can: the reader that
 * found an image and holds it must see the pixels that the entry promised. By hand on machines whose
 * memory is less orderly than x86's, for minutes; the model beside it says which order is needed.
 */
#include "exchange/index_find.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXTENTS 2
#define READERS 3
#define WORDS   64 /* of an image */
#define ENTRIES 16
#define NAMES   2
#define LINES   12

static struct index server;
static _Atomic uint64_t pixels[EXTENTS][WORDS];
static _Atomic uint64_t holds[READERS][8]; /* a cache line each; the first word is used */
static _Atomic uint64_t lines[LINES][8];
static _Atomic int stop;
static _Atomic uint64_t found, wrong;

/* Stores to lines that all others write, too, take their time: a store behind them, that of a hold,
 * is seen late unless there is a fence. */
static void keep_stores_busy(void)
{
	for (int i = 0; i < LINES; i++)
		atomic_store_explicit(&lines[i][0], 1, memory_order_relaxed);
}

static struct index_key key_of(unsigned name)
{
	return (struct index_key){.name = name ? "apple.png" : "apple", .length = name ? 9 : 5};
}

static bool is_held(uint64_t image)
{
	for (int i = 0; i < READERS; i++)
		if (atomic_load_explicit(&holds[i][0], memory_order_acquire) ==
			(image | WIRE_HOLD_FOUND))
			return true;
	return false;
}

static void take_out(void)
{
	index_begin(&server);
	for (unsigned name = 0; name < NAMES; name++) {
		struct index_key key = key_of(name);

		index_remove(&server, &key);
	}
	index_end(&server);
}

static void publish(unsigned extent, uint64_t version)
{
	struct index_answer answer = {.answer = {.image = extent + 1}, .words = {version}};

	for (int i = 0; i < WORDS; i++)
		atomic_store_explicit(&pixels[extent][i], version, memory_order_relaxed);
	index_begin(&server);
	for (unsigned name = 0; name < NAMES; name++) {
		struct index_key key = key_of(name);

		index_put(&server, &key, &answer);
	}
	index_end(&server);
}

/* Every version is taken out before the next one is written where nobody holds anything. */
static void *serve(void *unused)
{
	uint64_t version = 0;

	while (!atomic_load(&stop))
		for (unsigned extent = 0; extent < EXTENTS; extent++) {
			keep_stores_busy();
			take_out();
			if (!is_held(extent + 1))
				publish(extent, ++version);
		}
	return unused;
}

static void *look(void *my_hold)
{
	/* What a requester keeps for itself; the mapping is the server's. */
	struct index mine = server;
	uint64_t mine_found = 0, mine_wrong = 0;

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		struct index_key key = key_of(i % NAMES);
		struct index_answer answer;

		keep_stores_busy();
		if (index_find(&mine, &key, index_hash(&mine, &key), my_hold, &answer) !=
			INDEX_FOUND)
			continue;
		mine_found++;
		for (int at = 0; at < WORDS; at++)
			mine_wrong += atomic_load_explicit(&pixels[answer.answer.image - 1][at],
					      memory_order_relaxed) != answer.words[0];
		atomic_store_explicit((_Atomic uint64_t *)my_hold, 0, memory_order_release);
	}
	atomic_fetch_add(&found, mine_found);
	atomic_fetch_add(&wrong, mine_wrong);
	return NULL;
}

int main(int count, char **arguments)
{
	double seconds = count > 1 ? strtod(arguments[1], NULL) : 10;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = wire_index_start(page, 0) + wire_table_size(page, ENTRIES);
	pthread_t threads[READERS + 1];

	server = INDEX_NONE;
	server.segment.base = aligned_alloc(page, size);
	if (!server.segment.base)
		return 1;
	memset(server.segment.base, 0, size);
	server.segment.size = server.segment.reserved = size;
	index_init(&server, page, 1, ENTRIES, 0);
	pthread_create(&threads[READERS], NULL, serve, NULL);
	for (int i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, look, &holds[i][0]);
	usleep((useconds_t)(seconds * 1e6));
	atomic_store(&stop, 1);
	for (int i = 0; i <= READERS; i++)
		pthread_join(threads[i], NULL);
	printf("%llu found, %llu wrong\n", (unsigned long long)atomic_load(&found),
		(unsigned long long)atomic_load(&wrong));
	free(server.segment.base);
	return atomic_load(&wrong) || !atomic_load(&found);
}
