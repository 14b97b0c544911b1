/*
 * What all mechanisms with a shared mapping have in common: where the words and the payload lie,
 * and the exchange itself. They differ in how the mapping is made and in how one side wakes the
 * other (transport->post, transport->wait).
 */
#pragma once

#include "bench/transport.h"
#include "exchange/wait.h"

#include <semaphore.h>
#include <stdalign.h>

/* The start of the mapping; each word on a cache line of its own. */
struct shared_area {
	alignas(64) uint64_t word;
	alignas(64) sem_t semaphores[2]; /* [response], where the mechanism uses unnamed ones */
	alignas(64) uint32_t futexes[2]; /* [response] */
	alignas(4096) uint8_t payload[];
};

/* The state of each of these mechanisms begins with this. */
struct shared {
	struct shared_area *area;
};

static inline size_t shared_size(const struct channel *channel)
{
	return sizeof(struct shared_area) + channel->size;
}

static inline struct shared_area *shared_area(const struct channel *channel)
{
	return ((struct shared *)channel->state)->area;
}

/* Takes the mapping at `area` (MAP_FAILED is an error, with errno) into use. */
int shared_adopt(struct channel *channel, void *area, const char *what, struct error *err);

/* Maps the whole of `fd`, shared. */
int shared_map(struct channel *channel, int fd, struct error *err);

/* munmap, if it was mapped. */
void shared_leave(struct channel *channel);

int shared_ask(struct channel *channel, struct error *err);
int shared_answer(struct channel *channel, struct error *err);

/* post and wait with POSIX semaphores, which sleep or spin. */
int shared_post(sem_t *semaphore, struct error *err);
int shared_sleep(struct channel *channel, sem_t *semaphore, struct error *err);
int shared_spin(struct channel *channel, sem_t *semaphore, struct error *err);
