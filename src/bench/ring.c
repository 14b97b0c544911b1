/*
 * The textbook's bounded buffer in shared memory: slots, an index for the producer and one for the
 * consumer, and two semaphores that count full and empty slots. One ring for requests, one for
 * responses; a payload larger than a slot goes through piece by piece, while the other side already
 * reads.
 */
#include "bench/families.h"
#include "bench/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS      8
#define SLOT_BYTES 65536

struct ring {
	sem_t full, empty;
	alignas(64) uint64_t head; /* slots filled so far, the producer's */
	alignas(64) uint64_t tail; /* slots emptied so far, the consumer's */
	size_t lengths[SLOTS];
	alignas(4096) uint8_t slots[SLOTS][SLOT_BYTES];
};

struct ring_pair {
	struct ring *rings; /* [response] */
};

static int create(struct channel *channel, struct error *err)
{
	struct ring_pair *state = channel->state;
	struct ring *rings = mmap(NULL, 2 * sizeof *rings, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (rings == MAP_FAILED)
		return error_os(err, errno, "mmap");
	for (int response = 0; response < 2; response++) {
		sem_init(&rings[response].full, 1, 0);
		sem_init(&rings[response].empty, 1, SLOTS);
	}
	state->rings = rings;
	return STATUS_OK;
}

/* The mapping came with the fork. */
static int join(struct channel *channel, struct error *err)
{
	(void)channel;
	(void)err;
	return STATUS_OK;
}

static void leave(struct channel *channel)
{
	struct ring_pair *state = channel->state;

	if (state->rings)
		munmap(state->rings, 2 * sizeof *state->rings);
	state->rings = NULL;
}

static int produce(struct channel *channel, struct ring *ring, const void *data, size_t size,
	struct error *err)
{
	int status = shared_sleep(channel, &ring->empty, err);
	size_t slot = ring->head % SLOTS;

	if (status)
		return status;
	memcpy(ring->slots[slot], data, size);
	ring->lengths[slot] = size;
	ring->head++;
	return shared_post(&ring->full, err);
}

/* The slot to read; consumer_done gives it back. */
static int consume(
	struct channel *channel, struct ring *ring, const uint8_t **ret_slot, struct error *err)
{
	int status = shared_sleep(channel, &ring->full, err);

	if (!status)
		*ret_slot = ring->slots[ring->tail % SLOTS];
	return status;
}

static int consumer_done(struct ring *ring, struct error *err)
{
	ring->tail++;
	return shared_post(&ring->empty, err);
}

static int ask(struct channel *channel, struct error *err)
{
	struct ring_pair *state = channel->state;
	struct ring *responses = &state->rings[true];
	int status = produce(
		channel, &state->rings[false], &channel->word, sizeof channel->word, err);

	while (!status && channel->consumed < channel->size) {
		const uint8_t *slot;

		status = consume(channel, responses, &slot, err);
		if (status)
			break;
		channel_consume(channel, slot, responses->lengths[responses->tail % SLOTS]);
		status = consumer_done(responses, err);
	}
	return status;
}

static int answer(struct channel *channel, struct error *err)
{
	struct ring_pair *state = channel->state;
	const uint8_t *slot;
	uint64_t word;
	int status = consume(channel, &state->rings[false], &slot, err);

	if (status)
		return status;
	memcpy(&word, slot, sizeof word);
	status = consumer_done(&state->rings[false], err);
	if (status)
		return status;
	status = channel_expect(channel, word, err);
	for (size_t done = 0; !status && done < channel->size; done += SLOT_BYTES) {
		size_t left = channel->size - done;

		status = produce(channel, &state->rings[true], channel->source + done,
			left < SLOT_BYTES ? left : SLOT_BYTES, err);
	}
	return status;
}

const struct transport transport_ring = {
	.name = "ring",
	.summary = "bounded ring in shared memory, full and empty semaphores, sleeping",
	.state_size = sizeof(struct ring_pair),
	.piece = SLOT_BYTES,
	.create = create,
	.join = join,
	.leave = leave,
	.ask = ask,
	.answer = answer,
};
