/*
 * Many clients, each a process, that fetch images of very different popularity, keep up to three of
 * them for a while and check every pixel twice: when they get it and when they give it back.
 *
 *	fault-load NS SECONDS REQUESTS CLIENTS BUDGET SKEW <LIST
 *
 * It ends when SECONDS are over and REQUESTS were made, however slow the machine and the build are.
 * LIST has a line "NAME BYTES CRC" for each image; the n-th is asked for in proportion to 1/n^SKEW
 * (0: all alike). Every request has a place in one order for all: a ticket drawn as it is made. In
 * that order an LRU cache of BUDGET bytes is simulated, which holds nothing and loses no room to
 * placement. Prints "REQUESTS REFUSED WRONG SIMULATED_HITS FIRST_ERROR".
 */
#include "base/clock.h"
#include "shmsem.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define IMAGES_MAX  4096
#define TICKETS_MAX (64u << 20)
#define HELD        3
#define PAGE        4096

struct image {
	char name[32];
	uint64_t bytes, crc;
	double share; /* of all requests: its own and those of the images before it */
};

/* What the processes share. */
struct shared {
	_Atomic uint32_t tickets;
	_Atomic uint64_t refused, wrong;
	atomic_flag said;
	char error[SHMSEM_MESSAGE_SIZE];
	uint16_t order[TICKETS_MAX]; /* by ticket */
};

static struct image images[IMAGES_MAX];
static unsigned images_count;
static struct shared *shared;

static void read_images(double skew)
{
	double sum = 0;

	while (images_count < IMAGES_MAX &&
		scanf("%31s %" SCNu64 " %" SCNu64, images[images_count].name,
			&images[images_count].bytes, &images[images_count].crc) == 3) {
		sum += pow(images_count + 1, -skew);
		images[images_count++].share = sum;
	}
	for (unsigned i = 0; i < images_count; i++)
		images[i].share /= sum;
}

/* xorshift64 (Marsaglia), between 0 and 1. */
static double chance(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (double)(*state >> 11) / (double)(UINT64_C(1) << 53);
}

static unsigned choose(uint64_t *state)
{
	double at = chance(state);
	unsigned low = 0, high = images_count - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (images[middle].share < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void say(const char *sentence)
{
	if (!atomic_flag_test_and_set(&shared->said))
		snprintf(shared->error, sizeof shared->error, "%s", sentence);
}

static void check(const struct shmsem_image *held, const struct image *image)
{
	if (held->info.bytes == image->bytes &&
		crc32(0, held->pixels, (uInt)held->info.bytes) == image->crc)
		return;
	atomic_fetch_add(&shared->wrong, 1);
	say("wrong pixels");
}

static int client_main(const char *space, uint64_t until, uint32_t least, unsigned number)
{
	const struct shmsem_connect_options options = {.name_space = space};
	struct shmsem_image held[HELD] = {0};
	unsigned which[HELD] = {0};
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15) * (number + 1);
	struct shmsem_error error;
	struct shmsem *client;

	if (shmsem_connect(&client, &options, &error)) {
		say(error.message);
		return 1;
	}
	while (clock_now() < until || atomic_load(&shared->tickets) < least) {
		unsigned slot = (unsigned)(chance(&state) * HELD), wanted = choose(&state), ticket;
		const struct shmsem_request request = {.name = images[wanted].name};
		int status;

		if (held[slot].connection)
			check(&held[slot], &images[which[slot]]);
		shmsem_release(&held[slot]);
		ticket = atomic_fetch_add(&shared->tickets, 1);
		if (ticket >= TICKETS_MAX) {
			say("out of tickets");
			return 1;
		}
		shared->order[ticket] = (uint16_t)wanted;
		status = shmsem_fetch(client, &request, &held[slot], &error);
		which[slot] = wanted;
		if (!status) {
			check(&held[slot], &images[wanted]);
			continue;
		}
		say(error.message);
		if (status != SHMSEM_TRY_AGAIN)
			return 1;
		atomic_fetch_add(&shared->refused, 1);
	}
	for (unsigned slot = 0; slot < HELD; slot++)
		shmsem_release(&held[slot]);
	shmsem_close(client);
	return 0;
}

static uint64_t whole_pages(unsigned image)
{
	return (images[image].bytes + PAGE - 1) / PAGE * PAGE;
}

/* Requests that would have been answered at once by an LRU cache of so many bytes. */
static uint64_t simulate(uint32_t requests, uint64_t budget)
{
	static uint32_t used_at[IMAGES_MAX]; /* ticket + 1; 0: not in the cache */
	uint64_t stored = 0, hits = 0;

	for (uint32_t i = 0; i < requests; i++) {
		unsigned wanted = shared->order[i];

		if (used_at[wanted])
			hits++;
		else
			stored += whole_pages(wanted);
		used_at[wanted] = i + 1;
		while (stored > budget) {
			unsigned oldest = wanted;

			for (unsigned image = 0; image < images_count; image++)
				if (used_at[image] && used_at[image] < used_at[oldest])
					oldest = image;
			used_at[oldest] = 0;
			stored -= whole_pages(oldest);
		}
	}
	return hits;
}

int main(int argc, char **argv)
{
	uint64_t until, budget;
	uint32_t least;
	unsigned clients;
	int failed = 0, status;

	if (argc != 7)
		return 64;
	until = deadline_after((uint64_t)(atof(argv[2]) * NS_PER_SECOND));
	least = (uint32_t)atoi(argv[3]);
	clients = (unsigned)atoi(argv[4]);
	budget = strtoull(argv[5], NULL, 10);
	read_images(atof(argv[6]));
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED || !images_count)
		return 70;
	for (unsigned i = 0; i < clients; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(client_main(argv[1], until, least, i));
		failed += child < 0;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	printf("%u %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", atomic_load(&shared->tickets),
		atomic_load(&shared->refused), atomic_load(&shared->wrong),
		simulate(atomic_load(&shared->tickets), budget), shared->error);
	return failed != 0;
}
